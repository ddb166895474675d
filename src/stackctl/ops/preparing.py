"""From a stack's name to its bounded document: finding, rendering, policy, before docker hears of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from stackctl.core.documents import dump
from stackctl.core.errors import PolicyError, Problem, StackFileError
from stackctl.core.file_stamps import stamp_files
from stackctl.core.limits import Effective, Layer, Watchdog, check_thresholds, effective, watchdog_for
from stackctl.core.names import check_name, nearest, project_name
from stackctl.core.render import render_stack
from stackctl.core.stack import Rendered
from stackctl.core.stackfile import parse_stack
from stackctl.core.templatefile import parse_template
from stackctl.ops.bounded_call import call_bounded
from stackctl.ops.finding import Found, Places, find_stack, find_template, read_macros
from stackctl.ops.lock_files import read_lock

if TYPE_CHECKING:
    from stackctl.core.composefiles import Reader
    from stackctl.core.lockfile import Lock
    from stackctl.core.rules import Bounded, Change, OutsideFile, Rules
    from stackctl.core.stack import Configuration, MachinePolicy, Stack, TemplateFolder

RENDER_SECONDS = 10.0
RENDER_MEMORY = 512 << 20
RENDER_OUTPUT = 16 << 20
_CEILING = "ask for no more than the ceiling; who administers this machine may raise it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the caller asked for beside the stack file.

    Args:
        given: `--set` words, name -> text.
        limits: `--limit` and `--lifetime`.
    """

    name: str
    instance: str = ""
    given: Mapping[str, str] = field(default_factory=dict)
    limits: Layer = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A stack, ready to be placed on a host.

    Args:
        text: The bounded document's bytes, the same on every machine.
        digest: sha256 of `text` and of the files rendered beside it.
        effective: Limits by service; "" for the stack as a whole.
        watchdogs: Thresholds by service.
        references: Service -> its image as written; in the document it has the digest of the lock.
        lock: What lies beside the stack file, None without one.
        volumes_of: The project of Compose's whose volumes it uses, empty for none.
        kept_volumes: Key in the document -> name of such a volume.
        brought: The user's own files that the document mounts on another machine: path below the
            environment's folder there -> path here, as a bounded document writes it.
    """

    found: Found
    stack: Stack
    rendered: Rendered
    bounded: Bounded
    project: str
    instance: str
    text: str
    digest: str
    effective: Mapping[str, Effective]
    watchdogs: Mapping[str, Watchdog]
    given: Mapping[str, str]
    sources: Sources
    references: Mapping[str, str] = field(default_factory=dict)
    lock: Lock | None = None
    volumes_of: str = ""
    kept_volumes: Mapping[str, str] = field(default_factory=dict)
    brought: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """A stack with every text that rendering it needs.

    Args:
        document: What its own compose files say, None for a stack with a template.
        changes: What was changed in that already.
        outside: Files from outside the stack's own root that they are read with.
    """

    found: Found
    stack: Stack
    folders: Mapping[str, TemplateFolder]
    macros: Mapping[str, str]
    document: Mapping[str, Any] | None = None
    changes: tuple[Change, ...] = ()
    outside: tuple[OutsideFile, ...] = ()


def read_sources(name: str, places: Places) -> Sources:
    """Find and read a stack and every template that it names.

    Raises:
        UsageError: The stack, or one of its templates, is missing or wrong.
    """
    return sources_of(find_stack(name, places), places)


def sources_of(found: Found, places: Places) -> Sources:
    """Read the text of a stack, which need not be on disk yet, and every template that it names.

    Raises:
        UsageError: The stack is wrong, or one of its templates is missing or wrong.
    """
    stack = parse_stack(found.text, name=found.name, source=found.source)
    folders: dict[str, TemplateFolder] = {}
    if stack.template:
        folders[stack.template] = find_template(stack.template, places, first=found.base)
    for sidecar in _sidecar_templates(stack, folders):
        folders[f"sidecars/{sidecar}"] = find_template(f"sidecars/{sidecar}", places, first=found.base)
    return Sources(found=found, stack=stack, folders=folders, macros=read_macros(places))


def _sidecar_templates(stack: Stack, folders: Mapping[str, TemplateFolder]) -> list[str]:
    specs = dict(stack.sidecars)
    if stack.template:
        folder = folders[stack.template]
        template = parse_template(
            folder.files["template.yaml"], name=folder.name, source=f"{folder.source}/template.yaml"
        )
        specs = {**template.sidecars, **specs}
    return sorted({spec.template for spec in specs.values() if spec.template})


def render(
    sources: Sources,
    request: Request,
    configuration: Configuration,
    meanwhile: Callable[[], None] | None = None,
) -> Rendered:
    """Render a stack in a bounded child process.

    Raises:
        TemplateError: The template is wrong, or needs more time, memory or output than it may.
        StackFileError: A variable is missing or wrong.
    """
    if sources.document is not None and not sources.stack.sidecars:
        return Rendered(document=sources.document)

    work = partial(
        render_stack,
        sources.stack,
        folders=sources.folders,
        macros=sources.macros,
        given=request.given,
        configured=configuration.variables,
        document=sources.document,
    )

    def busy() -> None:
        """Load what is needed next, while the child works on another processor."""
        import stackctl.core.policy  # noqa: F401 - that it is loaded is the point

        if meanwhile is not None:
            meanwhile()

    return in_bounds(work, busy)


def in_bounds(work: Callable[[], Rendered], meanwhile: Callable[[], None] | None = None) -> Rendered:
    """Render in a child process that has only so much time, memory and output.

    Raises:
        TemplateError: The template is wrong, or needs more than it may.
        StackFileError: A variable is missing or wrong.
    """
    return call_bounded(
        work, seconds=RENDER_SECONDS, memory=RENDER_MEMORY, output=RENDER_OUTPUT, meanwhile=meanwhile
    )


def prepare(
    request: Request,
    *,
    places: Places,
    configuration: Configuration,
    machine: MachinePolicy,
    compose: Reader | None = None,
    meanwhile: Callable[[str], None] | None = None,
) -> Prepared:
    """Everything from the name to the bounded document; reads files, writes none.

    Args:
        compose: Reads people's own compose files, by Compose itself.
        meanwhile: Called with the project's name while the child renders.

    Raises:
        UsageError: The stack or a template is wrong, all problems at once; or the instance's name is.
        PolicyError: The document asks for what policy refuses, all problems at once.
    """
    if request.instance:
        check_name(request.instance, "instance")
    sources = with_document(read_sources(request.name, places), request, compose)
    return prepare_sources(
        sources,
        request,
        configuration=configuration,
        machine=machine,
        meanwhile=None if meanwhile is None else lambda: meanwhile(project_of(sources, request)),
    )


def with_document(sources: Sources, request: Request, compose: Reader | None) -> Sources:
    """The sources with what Compose makes of a stack's own compose files; those of a template as they are.

    Raises:
        StackFileError: A file is missing.
        EngineRefused: Compose does not accept the files.
    """
    if not sources.stack.compose or sources.document is not None:
        return sources
    if compose is None:
        raise StackFileError(f"{sources.found.source}: its compose files can only be read by Compose")
    from stackctl.ops.composing import read_document

    return read_document(sources, request.given, compose)


def project_of(sources: Sources, request: Request) -> str:
    """The project's name of the environment that a request means."""
    return project_name(sources.found.name, sources.found.root, request.instance)


def prepare_sources(
    sources: Sources,
    request: Request,
    *,
    configuration: Configuration,
    machine: MachinePolicy,
    meanwhile: Callable[[], None] | None = None,
) -> Prepared:
    """From what was read to the bounded document, its images pinned by the lock; raises as `prepare`."""
    rendered = render(sources, request, configuration, meanwhile)
    from stackctl.core.lockfile import pinned, references
    from stackctl.core.policy import bound

    lock = read_lock(sources.found)
    rules, watchdogs = rules_for(sources, rendered, request, configuration, machine)
    try:
        bounded = bound(rendered.document, rules)
    except PolicyError as error:
        raise _located(error, sources) from None
    bounded = replace(bounded, changes=(*sources.changes, *bounded.changes))
    bounded = replace(bounded, document=stamp_files(bounded.document, rendered.files))
    images = references(bounded.document)
    if lock is not None:
        bounded = replace(bounded, document=pinned(bounded.document, images, lock.images))
    text = dump(bounded.document)
    return Prepared(
        found=sources.found,
        stack=sources.stack,
        rendered=rendered,
        bounded=bounded,
        project=project_of(sources, request),
        instance=request.instance,
        text=text,
        digest=_digest(text, rendered.files),
        effective=rules.limits,
        watchdogs=watchdogs,
        given=request.given,
        sources=sources,
        references=images,
        lock=lock,
    )


def _located(error: PolicyError, sources: Sources) -> PolicyError:
    """The error with the lines of the stack's own compose files."""
    if not sources.stack.compose:
        return error
    from stackctl.ops.linting import located_in

    return PolicyError(error.message, hint=error.hint, problems=located_in(error.problems, sources))


def with_bounded(prepared: Prepared, document: Mapping[str, Any]) -> Prepared:
    """The stack with another bounded document."""
    text = dump(document)
    return replace(
        prepared,
        bounded=replace(prepared.bounded, document=document),
        text=text,
        digest=_digest(text, prepared.rendered.files),
    )


def _digest(text: str, files: Mapping[str, str]) -> str:
    whole = sha256(text.encode())
    for name in sorted(files):
        whole.update(f"\0{name}\0{files[name]}".encode())
    return whole.hexdigest()


def rules_for(
    sources: Sources,
    rendered: Rendered,
    request: Request,
    configuration: Configuration,
    machine: MachinePolicy,
) -> tuple[Rules, dict[str, Watchdog]]:
    """Policy's rules for a stack, and the thresholds of each service.

    Raises:
        StackFileError: Settings for a service that does not exist, or a threshold that cannot stand.
        PolicyError: A limit above the machine's ceiling.
    """
    from stackctl.core.rules import Rules

    stack = sources.stack
    names = sorted(rendered.document.get("services", {}))
    _check_services(stack, names)
    brought = {plan.name: plan.limits for plan in rendered.sidecars}
    limits, over = _limits_by_service(stack, names, request, configuration, machine, brought)
    watchdogs, wrong = _watchdogs(stack, limits, names, configuration)
    if wrong:
        raise StackFileError(f"{stack.source} has thresholds that cannot stand", problems=tuple(wrong))
    if over:
        raise PolicyError(f"{stack.source} asks for more than this machine allows", problems=tuple(over))
    rules = Rules(
        stack=stack.name,
        limits=limits,
        allow=stack.allow,
        machine=machine,
        hardened=sources.document is None and all(one.shipped for one in sources.folders.values()),
        root=str(sources.found.base),
        sidecars=tuple(plan.name for plan in rendered.sidecars),
        outside=sources.outside,
        source=stack.source,
        lines=stack.lines,
    )
    return rules, watchdogs


def _check_services(stack: Stack, names: Iterable[str]) -> None:
    known = set(names)
    problems = []
    for section, keys in (("services", stack.services), ("allow", stack.allow)):
        for name in sorted(set(keys) - known):
            near = nearest(name, known) or tuple(sorted(known))
            path = f"{section}.{name}"
            problems.append(
                Problem(
                    path=path,
                    message=f"the stack has no service `{name}`",
                    hint=f"its services are {', '.join(near)}",
                    source=stack.source,
                    line=stack.lines.get(path, 0),
                )
            )
    if problems:
        raise StackFileError(f"{stack.source} speaks of services that do not exist", problems=tuple(problems))


def _limits_by_service(
    stack: Stack,
    names: Iterable[str],
    request: Request,
    configuration: Configuration,
    machine: MachinePolicy,
    brought: Mapping[str, Layer],
) -> tuple[dict[str, Effective], list[Problem]]:
    found: dict[str, Effective] = {}
    problems: list[Problem] = []
    for name in ("", *names):
        own: Layer = stack.services[name].limits if name in stack.services else {}
        layers = (request.limits, own, stack.limits, configuration.limits)
        found[name], wrong = effective(*layers, ceilings=machine.ceilings, defaults=brought.get(name))
        path = f"services.{name}.limits" if name else "limits"
        told = {problem.message for problem in problems}
        problems += [
            Problem(path=path, message=text, hint=_CEILING, source=stack.source)
            for text in wrong
            if text not in told
        ]
    return found, problems


def _watchdogs(
    stack: Stack, limits: Mapping[str, Effective], names: Iterable[str], configuration: Configuration
) -> tuple[dict[str, Watchdog], list[Problem]]:
    found: dict[str, Watchdog] = {}
    problems: list[Problem] = []
    for name in names:
        own: Mapping[str, Any] = stack.services[name].watchdog if name in stack.services else {}
        found[name] = watchdog_for(own, stack.watchdog, configuration.watchdog)
        for text in check_thresholds(found[name], limits[name].limits):
            problems.append(Problem(path=f"services.{name}", message=text, source=stack.source))
    return found, problems
