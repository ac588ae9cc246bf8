"""Engine factory: opens a provider's engine for a task, from the start or from a checkpoint."""

from collections.abc import Sequence
from concurrent.futures import Executor

import msgspec
import structlog

from models.errors import ModelError
from models.registry import DEFAULTS
from streamproc.contract import env
from streamproc.contract.chunk import Chunk
from streamproc.contract.object_keys import secret_key, source_key
from streamproc.contract.providers import Provider
from streamproc.contract.records import Submitted
from streamproc.contract.sealing import SealBrokenError
from streamproc.errors import TaskFailedError, UploadsUnavailableError
from streamproc.providers.engine import Engine
from streamproc.providers.live_factory import LiveEngines
from streamproc.providers.live_pictures import LivePictures
from streamproc.providers.live_recordings import LiveRecordings
from streamproc.providers.local import LocalEngine, needs_staged
from streamproc.providers.model_cache import ModelCache
from streamproc.providers.plan import build_plan, includes_vectors, track_parameters
from streamproc.providers.staging import Uploads, is_staged, stage_behind
from streamproc.providers.upstream.client import UpstreamClient
from streamproc.providers.upstream.engine import UpstreamEngine
from streamproc.providers.upstream.position import UpstreamState, decode_state
from streamproc.providers.upstream.request import public_request
from streamproc.settings import WorkerSettings
from streamproc.source.fetch.interrupt import Interrupt
from streamproc.source.fetch.opener import FetchPolicy
from streamproc.source.fetch.spool_quota import SpoolShares
from streamproc.source.frame_source import FrameSource, open_source
from streamproc.source.live.named_sources import Cameras
from streamproc.source.types import FrameOutputs, ResumePoint, SourceSpec
from streamproc.stages.perception import Plan

_log = structlog.get_logger()


class Engines:
    """Creates engines; one instance per worker process."""

    def __init__(
        self,
        settings: WorkerSettings,
        model_cache: ModelCache,
        pool: Executor,
        uploads: Uploads,
        *,
        depth: int,
        cameras: Cameras | None = None,
        live_pool: Executor | None = None,
        pictures: LivePictures | None = None,
        recordings: LiveRecordings | None = None,
    ) -> None:
        """`depth`: frames of one file in perception. `cameras`: the named sources.

        `live_pool`: where frames of live sources are perceived, by default with all others.
        `pictures`: keeps pictures of live sources; `recordings`: stores what is recorded of them;
        None: nothing is.
        """
        self._settings, self._model_cache, self._pool, self._uploads = (
            settings,
            model_cache,
            pool,
            uploads,
        )
        self._providers = {provider.name: provider for provider in settings.providers}
        self._depth = depth
        self._spools = SpoolShares(settings.source.project_spool_bytes)
        self._policy = FetchPolicy.of(settings.source)
        self.live = LiveEngines(
            cameras or Cameras({}, {}), self._policy, live_pool or pool, pictures, recordings
        )
        self._upload_policy = self._policy.for_own_store(uploads.host)

    def resolve(self, name: str, precision: str | None = None) -> tuple[str, str]:
        """Return the (device, precision) that the provider uses here, with `AUTO` resolved.

        `precision`: the one that the task wants. Raises `TaskFailedError` if there is no such
        provider or device, or if the device does not compute in that precision.
        """
        provider = self._provider(name)
        if provider.kind == "upstream":
            return "upstream", ""
        configured = (
            provider.precision if provider.precision != "auto" else self._settings.precision
        )
        try:
            runtime = self._model_cache.runtime(self._device(provider))
            wanted = precision or configured
            return runtime.device, runtime.resolve_precision(wanted)  # type: ignore[arg-type]
        except ModelError as exc:
            raise TaskFailedError("device_unavailable", str(exc)) from exc

    def warm(self) -> None:
        """Load the default detector for the first provider, unless that is an upstream.

        Raises `ModelError` or `TaskFailedError` if this is not possible.
        """
        provider = next(iter(self._providers.values()))
        if provider.kind != "upstream":
            _, precision = self.resolve(provider.name)
            self._model_cache.load(DEFAULTS["detect"], self._device(provider), precision)

    def store_key(self, submitted: Submitted) -> str:
        """Return the key of the object that the task reads, or may find, in S3."""
        source = submitted.spec.source
        if source.object_key is not None:
            return source.object_key
        key_of = secret_key if source.sealed else source_key
        return key_of(submitted.project, submitted.task)

    def check_store(self, submitted: Submitted) -> None:
        """Raise `UploadsUnavailableError` if the task needs S3 to start, and S3 is unavailable."""
        source = submitted.spec.source
        if source.object_key is not None or source.sealed:
            self._uploads.probe(self.store_key(submitted))

    def open(
        self,
        name: str,
        submitted: Submitted,
        precision: str,
        state: bytes | None,
        pin: str | None,
        interrupt: Interrupt,
        since: Sequence[Chunk] = (),
        epoch: int = 0,
        last_pts: int | None = None,
    ) -> Engine:
        """Return an engine with an open source, positioned after `state`. `interrupt` aborts this.

        `since`: of a live task, the log's chunks after `state`. `epoch`: of the claim.
        `last_pts`: the timestamp of the log's last frame, if known.

        Raises `TaskFailedError` if the source or a model is not available, or if the source is no
        longer the one that `pin` names; `UploadsUnavailableError` if its URL, or its only remaining
        copy, is in S3 and S3 is unavailable.
        """
        provider = self._provider(name)
        if provider.kind == "upstream":
            return self._open_upstream(provider, submitted, state, pin, interrupt)
        spec = submitted.spec
        if not precision:  # the claim could not resolve it: say why
            self.resolve(name, spec.precision)
        plan = build_plan(spec, self._model_cache, self._device(provider), precision)
        first = plan.first_detector
        outputs = FrameOutputs(
            full=plan.needs_full,
            scaled=None if first is None else first.fit,
        )
        if spec.live is not None:
            url, _ = self._place(submitted)
            engine = self.live.open(
                submitted, url, plan, outputs, state, since, epoch, interrupt, last_pts
            )
            _check_pin(engine, pin)
            return engine
        return self._open_file(submitted, plan, outputs, state, pin, interrupt)

    def abandon(self, name: str, pin: str | None) -> None:
        """Stop a provider's work for a task that ends without an engine. Never raises."""
        provider = self._providers.get(name)
        if provider is None or provider.kind != "upstream" or not pin:
            return
        try:
            client = self._upstream_client(provider)
        except TaskFailedError:
            return
        client.cancel(pin)

    def _open_file(
        self,
        submitted: Submitted,
        plan: Plan,
        outputs: FrameOutputs,
        state: bytes | None,
        pin: str | None,
        interrupt: Interrupt,
    ) -> LocalEngine:
        spec = submitted.spec
        key = source_key(submitted.project, submitted.task)
        staged, unknown = False, None
        if pin and needs_staged(state):
            try:
                staged = is_staged(self._uploads, key, pin)
            except UploadsUnavailableError as exc:
                _log.warning("could not check for a staged source", reason=str(exc))
                unknown = exc

        def opened(resume: ResumePoint | None) -> FrameSource:
            url, policy = self._place(submitted)
            if staged:
                url, policy = self._uploads.url(key), self._upload_policy
            policy = msgspec.structs.replace(policy, spool=self._spools.of(submitted.project))
            source = open_source(
                SourceSpec(url, spec.sampling, spec.range, spec.stream),
                policy,
                outputs,
                resume,
                interrupt,
            )
            if not source.info.seekable:
                stage_behind(source, self._uploads, key)
            return source

        try:
            engine = LocalEngine(
                opened,
                plan,
                self._pool,
                tracking=track_parameters(spec, plan),
                max_frames=spec.max_frames,
                include_vector=includes_vectors(spec),
                depth=self._depth,
                state=state,
                pin=pin,
                is_staged=staged,
            )
            _check_pin(engine, pin)
        except TaskFailedError as exc:
            if unknown is None or interrupt.given is not None:
                raise
            # S3 may have a copy of a source that the origin no longer serves.
            raise unknown from exc
        return engine

    def _upstream_client(self, provider: Provider) -> UpstreamClient:
        return UpstreamClient(provider, self._settings.upstream_keys.get(provider.key_env or ""))

    def _open_upstream(
        self,
        provider: Provider,
        submitted: Submitted,
        state: bytes | None,
        pin: str | None,
        interrupt: Interrupt,
    ) -> UpstreamEngine:
        """Submit the task, or continue the upstream task with which the log was started."""
        spec = submitted.spec
        client = self._upstream_client(provider)

        def submit() -> str:
            hint = spec.model_hint if spec.model_hint != provider.name else None
            url, _ = self._place(submitted)
            body = public_request(spec, url, self._model_cache.registry, hint=hint)
            return client.submit(body, submitted.task)

        def submit_again() -> str:
            self.check_store(submitted)
            return submit()

        if state is not None:
            resumed = decode_state(state)
        elif pin:
            resumed = UpstreamState(pin, 0)
        else:
            with interrupt.wakes(client.abort):
                resumed = UpstreamState(submit(), 0)
        return UpstreamEngine(
            client,
            resumed,
            first_chunk_s=provider.first_chunk_s,
            silence_s=provider.silence_s,
            has_chunks=bool(pin),
            submit_again=submit_again if spec.source.object_key is not None else None,
        )

    def _place(self, submitted: Submitted) -> tuple[str, FetchPolicy]:
        source = submitted.spec.source
        if source.object_key is not None:
            return self._uploads.url(source.object_key), self._upload_policy
        if source.sealed:
            return self._unsealed(submitted), self._policy
        return source.url or "", self._policy

    def _unsealed(self, submitted: Submitted) -> str:
        """Return the source's URL with its credentials.

        Raises `TaskFailedError` if it cannot be decrypted, `UploadsUnavailableError` if S3 is
        unavailable.
        """
        if self._settings.sealer is None:
            raise TaskFailedError("source_sealed", f"this worker has no {env.SECRET_KEY}")
        project, task = submitted.project, submitted.task
        sealed = self._uploads.sealed(secret_key(project, task))
        if sealed is None:
            raise TaskFailedError("source_sealed", "the URL's credentials are not kept any more")
        try:
            return self._settings.sealer.open(project, task, sealed)
        except SealBrokenError as exc:
            raise TaskFailedError("source_sealed", str(exc)) from exc

    def _device(self, provider: Provider) -> str:
        """Return the setting by which the provider's device is chosen."""
        return provider.device or self._settings.device

    def _provider(self, name: str) -> Provider:
        if name not in self._providers:
            raise TaskFailedError("provider_unknown", f"this worker has no provider {name}")
        return self._providers[name]


def _check_pin(engine: Engine, pin: str | None) -> None:
    """If the engine's source is a different one, close the engine and raise `TaskFailedError`."""
    if pin and engine.pin != pin:
        engine.close()
        raise TaskFailedError("source_changed", "the source is not what it was at the start")
