"""Panels as this project's dashboards have them: each answers a question, with units and colours.

In queries ``@c`` stands for the clusters that are chosen, ``@i`` for their directors that are,
``@s`` for these and the service, ``@r`` for these and the realserver, ``@v`` for the directors and
the VIP groups. What is summed over directors is summed by ``cluster``: two pairs of directors may
each have a VIP group, a service or a realserver of the same name. Series without it count, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from grafana_foundation_sdk.builders import (
    common,
    dashboard,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common as shapes
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

SOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
RUNBOOKS = "${runbooks}"
_CLUSTERS = 'cluster=~"$cluster"'
_DIRECTORS = f'{_CLUSTERS},instance=~"$instance"'
SCOPES = {
    "@c": _CLUSTERS,
    "@i": _DIRECTORS,
    "@s": f'{_DIRECTORS},service="$service"',
    "@r": f'{_DIRECTORS},service="$service",realserver="$realserver"',
    "@v": f'{_DIRECTORS},vip=~"$vip"',
}
SCRAPED = 'job="lvsguard"'
"""The job of the directors, as in the rules: other jobs may scrape the same hosts."""
GREEN, YELLOW, ORANGE, RED = "green", "yellow", "orange", "red"
BLUE, PURPLE, GREY = "blue", "purple", "text"

Panel: TypeAlias = Builder[models.Panel]
Steps: TypeAlias = tuple[tuple[float, str], ...]
"""From such a value on, such a colour."""
Words: TypeAlias = Mapping[int, tuple[str, str]]
"""What a value is called, and its colour."""

NONE_IS_GOOD: Steps = ((1, RED),)
SOME_IS_ODD: Steps = ((1, YELLOW),)
YES_IS_GOOD: Words = {1: ("yes", GREEN), 0: ("no", RED)}


@dataclass(frozen=True, slots=True)
class Query:
    """A PromQL expression and what its series are called (``{{label}}``)."""

    expr: str
    legend: str = "__auto"

    @property
    def filled(self) -> str:
        """The expression with the scopes written out."""
        text = self.expr
        for short, labels in SCOPES.items():
            text = text.replace(short, labels)
        return text

    @property
    def of_any_vip(self) -> Query:
        """The same where no VIP group can be chosen."""
        return replace(self, expr=self.expr.replace("@v", "@i"))

    def target(self, ref: str) -> prometheus.Dataquery:
        """As a target of a panel that shows a course."""
        return prometheus.Dataquery().ref_id(ref).expr(self.filled).legend_format(self.legend)

    def instant(self, ref: str) -> prometheus.Dataquery:
        """As a target of a panel that shows what is now."""
        return self.target(ref).instant()


def row(title: str) -> dashboard.Row:
    """A heading: the question that its panels are about."""
    return dashboard.Row(title)


def number(
    title: str,
    question: str,
    query: Query,
    *,
    unit: str = "none",
    steps: Steps = (),
    below: str = GREEN,
    words: Words | None = None,
    runbook: str = "",
    width: int = 4,
) -> Panel:
    """One value, now, on a ground that tells whether it is well; ``below`` the first step, too."""
    panel = (
        stat.Panel()
        .title(title)
        .description(question)
        .datasource(SOURCE)
        .with_target(query.instant("A"))
        .unit(unit)
        .thresholds(_thresholds(steps, below))
        .mappings([*_mappings(words or {}), _unknown()])
        .links(_runbook(runbook))
        .no_value("no data")
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .color_mode(
            shapes.BigValueColorMode.BACKGROUND
            if steps or words
            else shapes.BigValueColorMode.VALUE
        )
        .color_scheme(dashboard.FieldColor().mode(models.FieldColorModeId.THRESHOLDS))
        .graph_mode(shapes.BigValueGraphMode.NONE)
        .height(4)
        .span(width)
    )
    if not steps and not words:
        panel.color_scheme(
            dashboard.FieldColor().mode(models.FieldColorModeId.FIXED).fixed_color(BLUE)
        )
    return panel


def course(
    title: str,
    question: str,
    *queries: Query,
    unit: str = "none",
    steps: Steps = (),
    below: str = GREEN,
    stacked: bool = False,
    bars: bool = False,
    runbook: str = "",
    width: int = 12,
    maximum: float | None = None,
    logarithmic: bool = False,
) -> Panel:
    """Values over time."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(question)
        .datasource(SOURCE)
        .unit(unit)
        .min(0)
        .thresholds(_thresholds(steps, below))
        .links(_runbook(runbook))
        .color_scheme(dashboard.FieldColor().mode(models.FieldColorModeId.PALETTE_CLASSIC))
        .line_width(1)
        .fill_opacity(70 if bars else 25 if stacked else 8)
        .show_points(shapes.VisibilityMode.NEVER)
        .tooltip(common.VizTooltipOptions().mode(shapes.TooltipDisplayMode.MULTI))
        .legend(
            common.VizLegendOptions()
            .display_mode(shapes.LegendDisplayMode.LIST)
            .placement(shapes.LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .height(8)
        .span(width)
    )
    if steps:
        panel.thresholds_style(
            common.GraphThresholdsStyleConfig().mode(shapes.GraphTresholdsStyleMode.DASHED)
        )
    if stacked or bars:
        panel.stacking(common.StackingConfig().mode(shapes.StackingMode.NORMAL).group("A"))
    if bars:
        panel.draw_style(shapes.GraphDrawStyle.BARS)
    if maximum is not None:
        panel.max(maximum)
    if logarithmic:
        log = common.ScaleDistributionConfig().type(shapes.ScaleDistribution.LOG).log(10)
        panel.scale_distribution(log)
    for ref, query in zip("ABCDEFGH", queries, strict=False):
        panel.with_target(query.target(ref))
    return panel


def states(
    title: str,
    question: str,
    *queries: Query,
    words: Words,
    runbook: str = "",
    width: int = 12,
    height: int = 8,
) -> Panel:
    """What state each thing was in, as bars over time."""
    panel = (
        statetimeline.Panel()
        .title(title)
        .description(question)
        .datasource(SOURCE)
        .thresholds(_thresholds(()))
        .mappings(_mappings(words))
        .links(_runbook(runbook))
        .color_scheme(dashboard.FieldColor().mode(models.FieldColorModeId.THRESHOLDS))
        .merge_values(True)
        .show_value(shapes.VisibilityMode.AUTO)
        .row_height(0.85)
        .fill_opacity(80)
        .line_width(0)
        .legend(
            common.VizLegendOptions()
            .display_mode(shapes.LegendDisplayMode.LIST)
            .placement(shapes.LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .height(height)
        .span(width)
    )
    for ref, query in zip("ABCDEFGH", queries, strict=False):
        panel.with_target(query.target(ref))
    return panel


def rows(
    title: str,
    question: str,
    query: Query,
    columns: Mapping[str, str],
    *,
    words: Words | None = None,
    steps: Steps = (),
    below: str = GREEN,
    links: Mapping[str, tuple[str, str]] | None = None,
    runbook: str = "",
    width: int = 12,
    unit: str = "none",
) -> Panel:
    """A table: a line a series, its labels and its value (the column ``Value``), as they are now.

    ``columns``: labels shown, in this order, and what they are called. ``links``: by label, the
    title and the address of the page about it.
    """
    order = {name: at for at, name in enumerate(columns)}
    panel = (
        table.Panel()
        .title(title)
        .description(question)
        .datasource(SOURCE)
        .with_target(query.instant("A").format(PromQueryFormat.TABLE))
        .thresholds(_thresholds(steps, below))
        .links(_runbook(runbook))
        .no_value("none")
        .with_transformation(
            models.DataTransformerConfig(
                id_val="filterFieldsByName", options={"include": {"names": list(columns)}}
            )
        )
        .with_transformation(
            models.DataTransformerConfig(
                id_val="organize",
                options={"indexByName": order, "renameByName": dict(columns)},
            )
        )
        .height(8)
        .span(width)
    )
    value = [models.DynamicConfigValue(id_val="unit", value=unit)]
    if words:
        value.append(models.DynamicConfigValue(id_val="mappings", value=_mappings(words)))
    if words or steps:
        coloured = {"type": "color-background", "mode": "basic"}
        value.append(models.DynamicConfigValue(id_val="custom.cellOptions", value=coloured))
    panel.override_by_name(columns["Value"], value)
    for label, (name, url) in (links or {}).items():
        link = [{"title": name, "url": url}]
        panel.override_by_name(
            columns[label], [models.DynamicConfigValue(id_val="links", value=link)]
        )
    return panel


def _thresholds(steps: Steps, below: str = GREEN) -> dashboard.ThresholdsConfig:
    every = [models.Threshold(value=None, color=below)]
    every += [models.Threshold(value=value, color=color) for value, color in steps]
    return dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(every)


def _mappings(words: Words) -> list[models.ValueMapping]:
    if not words:
        return []
    options = {
        str(value): models.ValueMappingResult(text=text, color=color, index=at)
        for at, (value, (text, color)) in enumerate(words.items())
    }
    return [models.ValueMap(options=options)]


def _unknown() -> models.ValueMapping:
    """No data: else it has the colour below the first threshold, which is green."""
    said = models.ValueMappingResult(text="no data", color=GREY)
    match = models.SpecialValueMatch.NULL_AND_NAN
    return models.SpecialValueMap(models.DashboardSpecialValueMapOptions(match, said))


def _runbook(name: str) -> list[Builder[models.DashboardLink]]:
    if not name:
        return []
    link = dashboard.DashboardLink(f"Runbook: {name}").type(models.DashboardLinkType.LINK)
    return [link.url(f"{RUNBOOKS}/{name}.md").target_blank(True)]
