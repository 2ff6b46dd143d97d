"""The composition root of a worker: what the stages need, opened in another process.

A worker holds the models, the policies and three keys of one tenant. It opens no store, writes
nothing, and is never given the deployment's master secret.
"""

from dataclasses import dataclass, field

from ingest.parse.sandbox import Limits, Sandbox
from ingest.prepare import Preparer
from ingest.stages import Stages, pipeline
from ingest.work import Target
from ragplatform import index_openers, openers
from ragplatform.config import Settings
from ragplatform.errors import ConfigurationError
from ragplatform.privacy.keys import FewKeys


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that a worker is given to begin with.

    ``pipeline``, ``policies`` and ``encoder``, of ``model``, are what the job works by: a worker
    that has others would make chunks that nobody could tell from the job's own.
    """

    settings: Settings
    target: Target
    keys: FewKeys = field(repr=False)
    pipeline: str
    policies: str
    model: str
    encoder: str


def make_stages(recipe: Recipe) -> Stages:
    """Return the stages, after sealing this process.

    Raises ``ConfigurationError`` when the models, rules or policies here are not the job's.
    """
    settings = recipe.settings
    openers.seal(settings)
    parser = sandbox(settings)
    treatment = openers.open_treatment(settings, recipe.keys)
    embedder = index_openers.open_encoder(settings, recipe.model, recipe.encoder)
    weigher = index_openers.open_weigher()
    policies = openers.open_policies(settings)
    here = (pipeline(parser=parser, privacy=treatment), policies.digest, embedder.version)
    if here != (recipe.pipeline, recipe.policies, recipe.encoder):
        raise ConfigurationError(
            "a worker has other models, rules, policies or parsers than the job: install the same "
            "version, models folder and policies folder on every machine"
        )
    preparer = Preparer(
        target=recipe.target,
        parser=parser,
        privacy=treatment,
        policies=policies,
        largest_file=largest_file(settings),
    )
    return Stages(preparer=preparer, privacy=treatment, embedder=embedder, weigher=weigher)


def sandbox(settings: Settings) -> Sandbox:
    """Return where files are parsed. No process starts before the first of them."""
    limits = Limits(max_bytes=largest_file(settings), timeout_s=settings.parse_timeout_s)
    return Sandbox(limits=limits)


def largest_file(settings: Settings) -> int:
    """Return how many bytes a file may have."""
    return settings.max_file_mb * 1024 * 1024
