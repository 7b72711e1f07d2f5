"""The card of a model: what it is for, what it learned from, how good it is and for whom, and who let it serve.

The sections are those of M. Mitchell et al., "Model Cards for Model Reporting", FAT* 2019, and the approval. What only
people know stands in the spec; what nobody has stated is shown so. These classes are the schema of a card: one without
a section cannot be made. The same arguments make the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from include.governance import words
from include.governance.record import Check, Data, Fairness, Mitigation, Override, Reason, Record, Slice
from include.pages import embedded, environment
from include.spec import Frozen, Many, Scalar, UseCase
from include.training.package import Manifest

TEMPLATES = Path(__file__).with_name("templates")
MARKDOWN, HTML = "model_card.md", "model_card.html"
MOST_INPUTS = 10
"""So many of the inputs that the model goes by are named."""


class Input(Frozen):
    name: str
    type: Literal["number", "category"]
    description: str
    sensitive: bool


class ModelDetails(Frozen):
    use_case: str
    title: str
    description: str
    owner: str
    predicts: str
    prediction: str
    candidate: str
    kind: str
    params: dict[str, Scalar]
    calibration: str
    model_sha256: str
    fingerprint: str
    as_of: str
    libraries: dict[str, str]
    inputs: Many[Input]


class IntendedUse(Frozen):
    """As the owner states it; null where nothing is stated."""

    primary_uses: str | None
    primary_users: str | None
    out_of_scope: str | None


class Factor(Frozen):
    """A column whose groups are looked at by themselves."""

    name: str
    description: str
    is_input: bool


class Factors(Frozen):
    sensitive: Many[Factor]
    judged_on: Many[str]


class Limit(Frozen):
    """What the gate asks of one metric: of the model alone, and against the champion."""

    metric: str
    greater_is_better: bool
    floor: float | None
    min_absolute_change: float | None
    min_relative_change: float | None
    max_regression: float | None


class Metrics(Frozen):
    limits: Many[Limit]
    threshold: float
    worth: dict[str, float]
    confidence: float


class TrainingData(Frozen):
    data_version: str
    simulated: bool
    trained_from: str
    trained_until: str
    rows: int
    label_coverage: float
    feature_version: str


class EvaluationData(Frozen):
    holdout_from: str
    holdout_until: str
    rows: int
    positives: int


class Importance(Frozen):
    input: str
    description: str
    mean_abs_shap: float


class Explanation(Frozen):
    """What the model goes by, on ``rows`` of the hold-out; ``unit`` is that of the SHAP values."""

    method: str
    rows: int
    unit: str
    additivity_error: float
    inputs: Many[Importance]
    rules: Many[str]
    rules_r2: float | None


class QuantitativeAnalyses(Frozen):
    metrics: dict[str, dict[str, float | int | None]]
    checks: Many[Check]
    slices: Many[Slice]
    fairness: Many[Fairness]
    mitigation: Mitigation | None
    explanation: Explanation


class EthicalConsiderations(Frozen):
    statement: str | None
    sensitive_inputs: Many[str]


class Caveats(Frozen):
    statement: str | None
    known: Many[str]


class Approval(Frozen):
    """Who or what let the model serve: the gate alone, or the gate and a person who answers for an override."""

    by: Literal["gate", "override"]
    sentence: str
    reasons: Many[Reason]
    override: Override | None
    asked_by: str
    asked_because: str
    run_id: str
    mlflow_run: str | None


class ModelCard(Frozen):
    details: ModelDetails
    intended_use: IntendedUse
    factors: Factors
    metrics: Metrics
    evaluation_data: EvaluationData
    training_data: TrainingData
    quantitative_analyses: QuantitativeAnalyses
    ethical_considerations: EthicalConsiderations
    caveats: Caveats
    approval: Approval


def compose(spec: UseCase, record: Record, manifest: Manifest, explanation: Mapping[str, Any]) -> ModelCard:
    """The card of the model in the package of ``manifest``, which ``record`` judged.

    ``explanation`` is the content of ``explanation.json``. Raises ``ValueError`` for a record without a hold-out.
    """
    if record.data is None:
        raise ValueError(f"run {record.run.run_id} has judged nothing, so there is no card")
    inputs = tuple(_inputs(spec))
    return ModelCard(
        details=_details(spec, record, manifest, inputs),
        intended_use=IntendedUse(
            primary_uses=spec.card.intended_use,
            primary_users=spec.card.intended_users,
            out_of_scope=spec.card.out_of_scope_use,
        ),
        factors=_factors(spec, record),
        metrics=Metrics(
            limits=tuple(
                Limit(**{name: getattr(rule, name) for name in Limit.model_fields}) for rule in spec.gate.rules
            ),
            threshold=spec.decision.threshold,
            worth=spec.decision.model_dump(),
            confidence=record.gate.confidence,
        ),
        evaluation_data=_evaluation_data(record.data),
        training_data=_training_data(record.data),
        quantitative_analyses=QuantitativeAnalyses(
            metrics=record.metrics,
            checks=record.checks,
            slices=record.slices,
            fairness=record.fairness,
            mitigation=record.mitigation,
            explanation=_explanation(explanation),
        ),
        ethical_considerations=EthicalConsiderations(
            statement=spec.card.ethical_considerations,
            sensitive_inputs=tuple(one.name for one in inputs if one.sensitive),
        ),
        caveats=Caveats(statement=spec.card.caveats, known=tuple(_known_caveats(record, manifest, explanation))),
        approval=_approval(record),
    )


def as_markdown(card: ModelCard) -> str:
    """The card for a terminal or a repository."""
    return _template("model_card.md.j2", card).rstrip() + "\n"


def as_html(card: ModelCard, figures: Mapping[str, Path]) -> str:
    """The card as a page that stands by itself; ``figures`` are PNG files by what they show."""
    return _template("model_card.html.j2", card, figures={title: embedded(path) for title, path in figures.items()})


def _template(name: str, card: ModelCard, **values: Any) -> str:
    made = environment(TEMPLATES, md=_markdown, asked_gain=_asked_gain, **words.FILTERS)
    return made.get_template(name).render(card=card, **values)


def _markdown(text: object) -> str:
    """``text`` on one line, with what Markdown or HTML would take for markup as it is written."""
    line = "".join(c for c in " ".join(str(text).split()) if c.isprintable())
    return re.sub(r"[\\`*\[\]<>|#~&]|(?<!\w)_|_(?!\w)", r"\\\g<0>", line)


def _asked_gain(limit: Limit) -> str:
    """What a gain has to be, in words."""
    asked = []
    if limit.min_absolute_change is not None:
        asked.append(f"{limit.min_absolute_change:g}" if limit.min_absolute_change else "any")
    if limit.min_relative_change is not None:
        asked.append(f"{100 * limit.min_relative_change:g} % of it")
    return f"{' and '.join(asked)}, beyond chance" if asked else words.NOTHING


def _inputs(spec: UseCase) -> Iterator[Input]:
    for name, kind in spec.feature_types.items():
        column = spec.columns.get(name)
        about = column.description if column else spec.features.derived[name].description
        yield Input(name=name, type=kind, description=about, sensitive=bool(column and column.sensitive))


def _details(spec: UseCase, record: Record, manifest: Manifest, inputs: tuple[Input, ...]) -> ModelDetails:
    chosen = record.selection.candidates if record.selection else ()
    return ModelDetails(
        use_case=spec.name,
        title=spec.title,
        description=" ".join(spec.description.split()),
        owner=spec.owner,
        predicts=record.predicts,
        prediction=spec.target.description,
        candidate=manifest.candidate,
        kind=manifest.kind,
        params=next((one.params for one in chosen if one.chosen), manifest.params),
        calibration=manifest.calibration,
        model_sha256=manifest.model_sha256,
        fingerprint=manifest.fingerprint,
        as_of=record.run.as_of,
        libraries=manifest.ingredients.libraries,
        inputs=inputs,
    )


def _factors(spec: UseCase, record: Record) -> Factors:
    sensitive = (
        Factor(name=name, description=spec.columns[name].description, is_input=name in spec.feature_types)
        for name in spec.sensitive_columns
    )
    return Factors(
        sensitive=tuple(sensitive), judged_on=tuple(dict.fromkeys(" and ".join(part.values) for part in record.slices))
    )


def _evaluation_data(data: Data) -> EvaluationData:
    return EvaluationData(
        holdout_from=data.holdout_from,
        holdout_until=data.holdout_until,
        rows=data.holdout_rows,
        positives=data.holdout_positives,
    )


def _training_data(data: Data) -> TrainingData:
    same = {name: getattr(data, name) for name in TrainingData.model_fields if name != "rows"}
    return TrainingData(**same, rows=data.training_rows)


def _explanation(found: Mapping[str, Any]) -> Explanation:
    inputs = found["importance"][:MOST_INPUTS]
    return Explanation(
        method=found["method"],
        rows=found["rows"],
        unit=found["unit"],
        additivity_error=found["additivity"]["error"],
        inputs=tuple(Importance(**{name: one[name] for name in Importance.model_fields}) for one in inputs),
        rules=tuple(found["surrogate"]["rules"]),
        rules_r2=found["surrogate"]["r2"],
    )


def _known_caveats(record: Record, manifest: Manifest, explanation: Mapping[str, Any]) -> Iterator[str]:
    """What the run itself knows that a reader should mind."""
    if record.data and record.data.simulated:
        yield "The data is simulated: the model knows no real customer, case or machine."
    if record.override:
        yield f"The model was not compared with version {record.champion}, which served before it."
    elif record.cold_start:
        yield "It is the first model: there was none to compare it with."
    if record.gate.no_gain_needed:
        yield f"It need not be better than the one before it: {record.gate.no_gain_needed}."
    learned, there = manifest.fitted_rows, manifest.training_rows
    if learned is not None and there is not None and learned < there:
        yield f"It learned from {learned:,} of the {there:,} training rows, drawn by the seed."
    if manifest.calibration != "none" and not explanation["sampled"]:
        yield "SHAP values are of its output before calibration, which changes how high scores are and not their order."
    if explanation["sampled"]:
        yield f"SHAP values are estimates on {explanation['rows']} pinned rows: there is no exact method for this kind."
    for check in record.checks:
        if check.result == "insufficient":
            yield f"Not judged for want of rows: {check.message}."


def _approval(record: Record) -> Approval:
    return Approval(
        by="override" if record.override else "gate",
        sentence=words.sentence(record),
        reasons=record.reasons,
        override=record.override,
        asked_by=record.run.who,
        asked_because=record.run.reason,
        run_id=record.run.run_id,
        mlflow_run=record.mlflow_run,
    )
