"""What goes over the wire, as types: what is asked, what is answered."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, create_model

from hitofude.inputs.layout import ImageShape

MOST_IMAGES = 64
"""Of one request."""
Pixel = Annotated[
    float,
    Field(ge=0, le=255, multiple_of=1, strict=True),
    WithJsonSchema({"type": "integer", "minimum": 0, "maximum": 255}),
]
"""A strict integer of pydantic's would not take 255.0, which JSON Schema calls one, and some programs write."""


class ModelDescription(BaseModel):
    """The model that answers."""

    name: str
    version: str = Field(description="Of hitofude.")
    classes: list[str]
    image_shape: list[int] = Field(min_length=3, max_length=3, description="Channels, height, width.")
    networks: list[str] = Field(description="The members' networks.")
    sure: float = Field(description="From this probability up an answer counts as sure.")


class Prediction(BaseModel):
    """What the model says of one image."""

    label: str = Field(description="The likeliest class.")
    probability: float = Field(description="Of the label.")
    sure: bool
    probabilities: list[float] = Field(description="Of each class, the calibrated mean of the members.")
    members: list[list[float]] = Field(description="Of each member, of each class.")
    box: Annotated[list[int], Field(min_length=4, max_length=4)] | None = Field(
        default=None, description="Top, left, bottom, right in the picture's pixels; the end is no part of it."
    )
    pixels: list[int] | None = Field(default=None, description="The image that the model was given.")


class Picture(BaseModel):
    """The picture that boxes are in: the one that was sent, upright; a large one is reduced."""

    width: int
    height: int


class Predictions(BaseModel):
    """Of images in their order; of a picture what is found in it, in reading order."""

    predictions: list[Prediction]
    picture: Picture | None = None


class ImagesToPredict(BaseModel):
    """images: of each the pixels 0..255, channel after channel, row after row, as the training images are."""

    model_config = ConfigDict(extra="forbid", title="ImagesToPredict")

    images: list[list[float]]


class Correction(BaseModel):
    """A drawing, and the label that is right."""

    model_config = ConfigDict(extra="forbid", title="Correction")

    pixels: list[float]
    label: str


class Kept(BaseModel):
    """Where a correction is, and how many there are."""

    kept: str
    total: int


class Total(BaseModel):
    """How many corrections are kept."""

    total: int


class Health(BaseModel):
    """That the server answers."""

    status: str


class Problem(BaseModel):
    """Why there is no other answer."""

    detail: str = Field(description="For people.")


def requests_for(image_shape: ImageShape, classes: tuple[str, ...]) -> tuple[type[ImagesToPredict], type[Correction]]:
    """The two requests as this model takes them: images of its size, labels of its own."""
    channels, height, width = image_shape
    size = channels * height * width
    image: Any = Annotated[list[Pixel], Field(min_length=size, max_length=size)]
    images: Any = Annotated[list[image], Field(min_length=1, max_length=MOST_IMAGES)]
    label: Any = Annotated[str, Field(json_schema_extra={"enum": list(classes)})]
    return (
        create_model("ImagesToPredict", __base__=ImagesToPredict, images=(images, ...)),
        create_model("Correction", __base__=Correction, pixels=(image, ...), label=(label, ...)),
    )
