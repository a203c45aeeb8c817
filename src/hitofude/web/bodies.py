"""The bodies of requests and answers."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, create_model

from hitofude.inputs.layout import ImageShape

MOST_IMAGES = 64
"""In one request."""
Pixel = Annotated[
    float,
    Field(ge=0, le=255, multiple_of=1, strict=True),
    WithJsonSchema({"type": "integer", "minimum": 0, "maximum": 255}),
]
"""pydantic's strict integer would refuse 255.0, which is an integer for JSON Schema and which some programs write."""


class ModelDescription(BaseModel):
    """The served model."""

    name: str
    version: str = Field(description="Of hitofude.")
    classes: list[str]
    image_shape: list[int] = Field(min_length=3, max_length=3, description="Channels, height, width.")
    networks: list[str] = Field(description="The members' networks.")
    sure: float = Field(description="An answer of at least this probability counts as sure.")


class Prediction(BaseModel):
    """The prediction for one image."""

    label: str = Field(description="The likeliest class.")
    probability: float = Field(description="Of the label.")
    sure: bool
    probabilities: list[float] = Field(description="Of each class, the calibrated mean of the members.")
    members: list[list[float]] = Field(description="Each member's probabilities, of each class.")
    box: Annotated[list[int], Field(min_length=4, max_length=4)] | None = Field(
        default=None, description="Top, left, bottom, right in the picture's pixels; the end is exclusive."
    )
    pixels: list[int] | None = Field(default=None, description="The image that the model was given.")


class Picture(BaseModel):
    """The picture that the boxes refer to: the one that was sent, upright, and reduced if it is large."""

    width: int
    height: int


class Predictions(BaseModel):
    """Predictions of images in their order, or of the images found in a picture, in reading order."""

    predictions: list[Prediction]
    picture: Picture | None = None


class ImagesToPredict(BaseModel):
    """images: each one's pixels 0..255, channel by channel, row by row, like the training images."""

    model_config = ConfigDict(extra="forbid", title="ImagesToPredict")

    images: list[list[float]]


class Correction(BaseModel):
    """A drawing and its right label."""

    model_config = ConfigDict(extra="forbid", title="Correction")

    pixels: list[float]
    label: str


class Total(BaseModel):
    """The number of corrections that are kept."""

    total: int


class Kept(Total):
    """The name of a correction's file, and the number of corrections that are kept."""

    kept: str


class Health(BaseModel):
    """The server answers."""

    status: str


class Problem(BaseModel):
    """The reason for an error."""

    detail: str = Field(description="For people.")


def requests_for(image_shape: ImageShape, classes: tuple[str, ...]) -> tuple[type[ImagesToPredict], type[Correction]]:
    """Return the two requests for a model: images of its size, labels of its own."""
    channels, height, width = image_shape
    size = channels * height * width
    image: Any = Annotated[list[Pixel], Field(min_length=size, max_length=size)]
    images: Any = Annotated[list[image], Field(min_length=1, max_length=MOST_IMAGES)]
    label: Any = Annotated[str, Field(json_schema_extra={"enum": list(classes)})]
    return (
        create_model("ImagesToPredict", __base__=ImagesToPredict, images=(images, ...)),
        create_model("Correction", __base__=Correction, pixels=(image, ...), label=(label, ...)),
    )
