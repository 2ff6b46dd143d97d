"""``/v1/embeddings`` and ``/v1/models``, in OpenAI's shape."""

import base64
from collections.abc import Mapping
from typing import Final, Literal

import numpy as np
from fastapi import FastAPI, Request
from pydantic import BaseModel, Field

from ragplatform.api.caller import Caller
from ragplatform.api.fairness import ONE_TURN
from ragplatform.api.openai.asked import MODEL, Frame, one_purpose
from ragplatform.api.openai.schemas import EmbeddingsBody, RagIn
from ragplatform.embedding import Embedded, embeds
from ragplatform.errors import NotFoundError, UnsupportedError
from ragplatform.model import Principal
from ragplatform.redaction import TextRequest
from ragplatform.wiring import Platform

EMBEDDINGS: Final = "/v1/embeddings"


class Model(BaseModel):
    """One model that you may use. Models are as old as the service's rules: none has a date."""

    id: str = Field(examples=["ragplatform:TREAT"])
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "ragplatform"


class Models(BaseModel):
    """All models that you may use."""

    object: Literal["list"] = "list"
    data: list[Model]


class EmbeddingOut(BaseModel):
    """One vector: numbers, or base64 of 32-bit floats in little-endian order."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str


class EmbeddingsUsage(BaseModel):
    """What it took. The encoder counts no tokens, so both are 0."""

    prompt_tokens: int = 0
    total_tokens: int = 0


class EmbeddingsOut(BaseModel):
    """Vectors of Euclidean length 1, in the order of the texts."""

    object: Literal["list"] = "list"
    data: list[EmbeddingOut]
    model: str
    usage: EmbeddingsUsage = EmbeddingsUsage()


def add_routes(app: FastAPI, platform: Platform) -> None:
    """Add ``/v1/models`` and ``/v1/embeddings``."""

    @app.get("/v1/models", tags=["openai"])
    def models(who: Caller) -> Models:
        """Say which models you may use: one for each purpose that you may state."""
        return Models(data=[Model(id=name) for name in models_of(platform, who)])

    @app.get("/v1/models/{model}", tags=["openai"])
    def model(who: Caller, model: str) -> Model:
        """Return one model. 404 alike for what is not there and what you may not use."""
        if model not in models_of(platform, who):
            raise NotFoundError("you may use no model of that name: see /v1/models")
        return Model(id=model)

    @app.post(EMBEDDINGS, tags=["openai"], dependencies=[ONE_TURN])
    def embeddings(request: Request, who: Caller, body: EmbeddingsBody) -> EmbeddingsOut:
        """Turn texts that you bring into vectors; the texts are not kept.

        What is personal in them is replaced before, as in questions: a vector names nobody.
        """
        return embedded(platform, Frame.of(request), who, body)


def models_of(platform: Platform, who: Principal) -> list[str]:
    """Return the names of the models that somebody may use."""
    purposes = sorted(platform.policies.purposes(who))
    names = [MODEL, *(f"{MODEL}:{purpose}" for purpose in purposes)] if purposes else []
    return names + (platform.embedder.models() if embeds(platform.policies, who) else [])


def embedded(
    platform: Platform, frame: Frame, who: Principal, body: EmbeddingsBody
) -> EmbeddingsOut:
    """Return the vectors of a body's texts. Raises as ``TextEmbedder.embed``."""
    dim = platform.store.embedder.dim
    if body.dimensions not in (None, dim):
        raise UnsupportedError("dimensions", f"this encoder's vectors have {dim}")
    rag = body.rag or RagIn()
    texts = TextRequest(
        principal=who,
        purpose=one_purpose(frame, rag),
        texts=body.texts(),
        collection=rag.collections[0] if rag.collections else None,
        request_id=frame.request_id,
        trace=frame.trace,
    )
    return embeddings_out(platform.embedder.embed(texts, body.model), body)


def embeddings_out(found: Embedded, body: EmbeddingsBody) -> EmbeddingsOut:
    """Return vectors for the wire, in the form that was asked for."""
    rows = found.vectors.astype(np.dtype("<f4"))
    packed = body.encoding_format == "base64"
    data = [
        EmbeddingOut(
            index=n,
            embedding=base64.b64encode(row.tobytes()).decode() if packed else row.tolist(),
        )
        for n, row in enumerate(rows)
    ]
    return EmbeddingsOut(data=data, model=found.model)


LIMITS: Final[Mapping[str, int]] = {EMBEDDINGS: 4 * 1024 * 1024}
