"""The API's schema: the bodies of requests and answers, the refusals, and the token."""

from typing import Annotated, Any

from fastapi import FastAPI
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema, create_model

from hitofude.inputs.layout import ImageShape
from hitofude.inputs.look import Look
from hitofude.inputs.scale import BYTES, PixelScale
from hitofude.metrics.calibration import Cascade

MOST_IMAGES = 64
"""In one request."""
Pixel = Annotated[
    float,
    Field(ge=0, le=255, multiple_of=1, strict=True),
    WithJsonSchema({"type": "integer", "minimum": 0, "maximum": 255}),
]
"""pydantic's strict integer would refuse 255.0, which is an integer for JSON Schema and which some programs write."""
Number = Annotated[float, Field(allow_inf_nan=False, strict=True)]
"""A pixel on another scale; numbers beyond it are clipped."""
REASONS = {
    400: "The request is malformed.",
    401: "A token is needed.",
    403: "A foreign Host or Origin.",
    408: "The body did not arrive in time.",
    409: "No further drawings can be kept.",
    413: "The body is too large.",
    415: "Another content type is expected.",
    422: "The content is malformed; or it is no picture, damaged, too large, or without anything in it.",
    503: "The server is overloaded; see Retry-After.",
}
ALWAYS = (400, 401, 403, 408, 413)
"""The refusals that precede every route."""
RETRY_AFTER = {"Retry-After": {"schema": {"type": "string"}, "description": "Seconds."}}


class ModelDescription(BaseModel):
    """The served model."""

    name: str
    version: str = Field(description="Of hitofude.")
    classes: list[str]
    image_shape: list[int] = Field(min_length=3, max_length=3, description="Channels, height, width.")
    networks: list[str] = Field(description="The members' networks.")
    sure: float = Field(description="An answer of at least this probability counts as sure.")
    set_threshold: float | None = Field(description="The least probability of a class in a set; null if unknown.")
    reads_writing: bool = Field(description="Whether pictures are searched for writing; else they are resized.")
    known_threshold: float | None = Field(
        description="The novelty up to which an image counts as like the training images; null if there is no score."
    )
    scale: list[float] = Field(min_length=2, max_length=2, description="The numbers that are black and white.")
    look: Look = Field(description="The look of the training images, by which drawings and photos are made like them.")
    cascade: Cascade | None = Field(
        description="The members that are asked one after another, from 0, each with the probability, in the mean of "
        "those asked so far, from which on no other is asked; below it in all stages, all are. Null: all always are."
    )


class Prediction(BaseModel):
    """The prediction for one image."""

    label: str = Field(description="The likeliest class.")
    probability: float = Field(description="Of the label.")
    sure: bool = Field(
        description="Whether the label is an answer: probable enough, and the image is known if that is told."
    )
    probabilities: list[float] = Field(description="Of each class, calibrated.")
    members: list[list[float]] = Field(
        description="Each member's probabilities, of each class, not calibrated; of members that were not asked, the "
        "mean of those that were."
    )
    asked: int = Field(description="The number of members that were asked.")
    known: bool | None = Field(
        default=None, description="Whether the image is like the training images; if not, it is none of the classes."
    )
    novelty: float | None = Field(default=None, description="The score of images unlike anything learned.")
    set: list[str] | None = Field(
        default=None, description="The classes that hold the true one for 95 % of images, the likeliest first."
    )
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
    """images: each one's pixels, channel by channel, row by row, upright, like the training images.

    scale: the numbers that are black and white, those of the training images by default, or [0, 255].
    """

    model_config = ConfigDict(extra="forbid", title="ImagesToPredict")

    images: list[list[float]]
    scale: list[float] | None = None


class Correction(BaseModel):
    """A drawing and its right label."""

    model_config = ConfigDict(extra="forbid", title="Correction")

    pixels: list[float]
    label: str
    scale: list[float] | None = None


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


def requests_for(
    image_shape: ImageShape, classes: tuple[str, ...], scale: PixelScale = BYTES
) -> tuple[type[ImagesToPredict], type[Correction]]:
    """Return the two requests for a model: images of its size, labels of its own, pixels on its scale or bytes."""
    channels, height, width = image_shape
    size = channels * height * width
    pixel: Any = Pixel if scale.is_bytes else Number
    image: Any = Annotated[list[pixel], Field(min_length=size, max_length=size)]
    images: Any = Annotated[list[image], Field(min_length=1, max_length=MOST_IMAGES)]
    label: Any = Annotated[str, Field(json_schema_extra={"enum": list(classes)})]
    return (
        create_model("ImagesToPredict", __base__=ImagesToPredict, images=(images, ...), scale=(_scale(scale), None)),
        create_model(
            "Correction", __base__=Correction, pixels=(image, ...), label=(label, ...), scale=(_scale(scale), None)
        ),
    )


def _scale(own: PixelScale) -> Any:
    """The type of a scale: the model's own, or that of bytes."""
    allowed = [[low, high] for low, high in dict.fromkeys([(own.low, own.high), (BYTES.low, BYTES.high)])]

    def check(scale: list[float] | None) -> list[float] | None:
        if scale is not None and scale not in allowed:
            raise ValueError(f"expected {' or '.join(map(str, allowed))}")
        return scale

    pair: Any = list[Annotated[float, Field(strict=True)]] | None
    return Annotated[pair, AfterValidator(check), WithJsonSchema({"enum": [*allowed, None]})]


def refusal_responses(*more: int) -> dict[int | str, dict[str, Any]]:
    """Document a route's refusals: the statuses in ALWAYS, and more."""
    return {
        status: {"model": Problem, "description": REASONS[status]} | ({"headers": RETRY_AFTER} if status == 503 else {})
        for status in (*ALWAYS, *more)
    }


def request_body(body: type[BaseModel], *, pictures: bool = False) -> dict[str, Any]:
    """Document a request of JSON; with pictures also one of a picture, as it is or as the field `file` of a form."""
    content: dict[str, Any] = {"application/json": {"schema": body.model_json_schema()}}
    if pictures:
        binary = {"type": "string", "format": "binary"}
        form = {"type": "object", "properties": {"file": binary}, "required": ["file"]}
        content |= {"image/*": {"schema": binary}, "multipart/form-data": {"schema": form}}
    return {"requestBody": {"required": True, "content": content}}


def document_token(app: FastAPI) -> None:
    """Document that every route but /healthz needs a token."""
    document = app.openapi()
    document.setdefault("components", {})["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    document["security"] = [{"token": []}]
    document["paths"]["/healthz"]["get"]["security"] = []
