"""From a stack and its templates to one compose document: the same bytes everywhere and in every run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from stackctl.core.documents import refusal
from stackctl.core.errors import Problem, StackFileError
from stackctl.core.names import nearest
from stackctl.core.sidecars import FOLDER, Sidecar, merged_specs
from stackctl.core.templatefile import parse_template
from stackctl.core.values import Layers, Values, split_given, values_of

if TYPE_CHECKING:
    from stackctl.core.limits import Setting
    from stackctl.core.stack import Rendered, Scalar, SidecarSpec, Stack, Template, TemplateFolder

DESCRIPTION = "template.yaml"


def render_stack(
    stack: Stack,
    *,
    folders: Mapping[str, TemplateFolder],
    macros: Mapping[str, str],
    given: Mapping[str, str],
    configured: Mapping[str, Setting],
    document: Mapping[str, Any] | None = None,
) -> Rendered:
    """Render a stack.

    A template can loop or eat memory, so call this within bounds (`ops.bounded_call`).

    Args:
        stack: The stack.
        folders: Template folders by name: `webapp`, `sidecars/postgres`.
        macros: Shipped macros, by path below `macros/`.
        given: The `--set` words, `name` or `<sidecar>.<variable>`.
        configured: Variables from the user's configuration, with names as in `given`.
        document: For a stack with compose files of its own: what they say, as one document.

    Raises:
        StackFileError: Variables or a template's description are wrong; all problems at once.
        TemplateError: A template could not be rendered.
    """
    from stackctl.core.assembly import Parts, assemble

    gathering = _Gathering(stack, folders, given, configured)
    template, sidecars, values = gathering.gather()
    used = {name: folders[name] for name in sorted(gathering.used)}
    parts = Parts(
        stack=stack, template=template, values=values, sidecars=sidecars, folders=used, macros=macros
    )
    return assemble(parts, document or {})


def stack_values(
    stack: Stack,
    *,
    folders: Mapping[str, TemplateFolder],
    given: Mapping[str, str],
    configured: Mapping[str, Setting],
) -> tuple[dict[str, Scalar], tuple[str, ...]]:
    """What the variables of a stack's templates come to, with names as `--set` has them.

    Returns:
        The values of all but secrets, whichever layer says them; and the names of the secrets.

    Raises:
        StackFileError: As `render_stack`.
    """
    _, sidecars, values = _Gathering(stack, folders, given, configured).gather()
    each = [("", values), *((f"{one.name}.", one.values) for one in sidecars)]
    plain = {f"{prefix}{name}": value for prefix, one in each for name, value in one.plain.items()}
    secrets = sorted(f"{prefix}{name}" for prefix, one in each for name in one.secrets)
    return plain, tuple(secrets)


@dataclass(slots=True)
class _Gathering:
    """Finds templates and values for one stack, and collects everything that is wrong."""

    stack: Stack
    folders: Mapping[str, TemplateFolder]
    given: Mapping[str, str]
    configured: Mapping[str, Setting]
    used: set[str] = field(default_factory=set)
    owners: set[str] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)

    def gather(self) -> tuple[Template | None, tuple[Sidecar, ...], Values]:
        """The stack's template, its sidecars, and the template's values.

        Raises:
            StackFileError: Something is wrong with them, all of it at once.
        """
        template = self.template(self.stack.template) if self.stack.template else None
        specs = merged_specs(self.stack.sidecars, template.sidecars if template else {})
        sidecars = tuple(self.sidecar(name, spec) for name, spec in specs.items())
        values = self.values(template, self.stack.variables, "")
        self.finish()
        return template, sidecars, values

    def template(self, name: str, path: str = "template") -> Template | None:
        """The template of this name, read; None when it is not there or not right."""
        folder = self.folders.get(name)
        if folder is None or DESCRIPTION not in folder.files:
            self._wrong(path, f"there is no template `{name}`", self._near(name))
            return None
        self.used.add(name)
        source = f"{folder.source}/{DESCRIPTION}"
        try:
            return parse_template(folder.files[DESCRIPTION], name=name.removeprefix(FOLDER), source=source)
        except StackFileError as error:
            self.problems += error.problems or (Problem(message=error.message, hint=error.hint),)
            return None

    def sidecar(self, name: str, spec: SidecarSpec) -> Sidecar:
        """A sidecar with its template and values."""
        path = f"sidecars.{name}.template"
        template = self.template(f"{FOLDER}{spec.template}", path) if spec.template else None
        if template and template.sidecar is None:
            self._wrong(path, f"`{spec.template}` is no sidecar template", "it declares no `sidecar:`")
        values = self.values(template, spec.variables, name)
        return Sidecar(name=name, spec=spec, template=template, values=values)

    def values(self, template: Template | None, written: Mapping[str, Setting], owner: str) -> Values:
        """The values for one template, `owner` being the sidecar's name or empty."""
        self.owners.add(owner)
        if template is None:
            return Values(plain={}, secrets={})
        prefix = f"{owner}." if owner else ""
        layers = Layers(
            given=split_given(self.given).get(owner, {}),
            written=written,
            configured=_below(self.configured, prefix),
            prefix=prefix,
        )
        values, problems = values_of(template, layers, owner=owner)
        self.problems += problems
        return values

    def finish(self) -> None:
        """Raise everything that was found wrong.

        Raises:
            StackFileError: Something was.
        """
        for owner in sorted(split_given(self.given).keys() - self.owners):
            near = nearest(owner, self.owners)
            hint = f"did you mean `{near[0]}`?" if near else "its sidecars are named in the stack file"
            self.problems.append(
                Problem(source="--set", message=f"the stack has no sidecar `{owner}`", hint=hint)
            )
        if self.problems:
            raise refusal(self.stack.source, tuple(self.problems))

    def _wrong(self, path: str, message: str, hint: str) -> None:
        line = self.stack.lines.get(path, 0)
        self.problems.append(
            Problem(source=self.stack.source, line=line, path=path, message=message, hint=hint)
        )

    def _near(self, name: str) -> str:
        kin = [one for one in self.folders if one.startswith(FOLDER) == name.startswith(FOLDER)]
        near = nearest(name, kin) or tuple(sorted(kin))
        shown = ", ".join(f"`{one.removeprefix(FOLDER)}`" for one in near)
        return f"there is {shown}" if shown else ""


def _below(configured: Mapping[str, Setting], prefix: str) -> dict[str, Setting]:
    """The configured variables of one sidecar, or with an empty prefix those of the template itself."""
    return {
        name.removeprefix(prefix): setting for name, setting in configured.items() if name.startswith(prefix)
    }
