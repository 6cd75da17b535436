"""The README's figures are those of the committed results: each sentence is written anew from its source."""

from __future__ import annotations

import json
import re
import statistics
from pathlib import Path
from typing import Any

import pytest

from experiments.mini.report import WANTED, highest_tau
from experiments.mini.searches import CHOSEN
from experiments.mini.searches import RESULTS as MINI
from experiments.paper.runs import RESULTS as PAPER
from experiments.proxies import report as proxies
from experiments.proxies.survival import SEEDS as SURVIVED
from experiments.queries import report as queries
from experiments.queries.main_job import METHODS, SEEDS
from experiments.queries.pools import AT as AT_QUERIES
from experiments.queries.pools import RESULTS as QUERIES
from experiments.scale.faults import RESULT as FAULTS
from experiments.search_systems.claims import CLAIMS, SPACES, VERDICTS, advised, outcomes
from experiments.search_systems.compare import AT
from experiments.search_systems.compare import RESULTS as SYSTEMS
from experiments.search_systems.scores import METRICS, TABLES
from experiments.search_systems.systems import overrides
from nas import judge
from nas.judge.noise import Noise
from nas.truth import benchmarks

ROOT = Path(__file__).parents[1]
SCALE = FAULTS.parent
TEXT = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def short(value: float, digits: int = 2) -> str:
    """A number as the README writes it: .24, -.02."""
    return re.sub(r"^(-?)0\.", r"\1.", f"{value:.{digits}f}")


def regrets(searcher: str, floor: float, role: str) -> list[float | None]:
    runs = read(MINI / "searches.json")["runs"]
    found = [r for r in runs if (r["searcher"], r["floor"], r["role"]) == (searcher, floor, role)]
    return [run["standing"]["regret"] if run["standing"] else None for run in found]


def mean_of(searcher: str, floor: float, role: str = "test") -> str:
    values = regrets(searcher, floor, role)
    mean, _, error = judge.mean_and_error([value for value in values if value is not None])
    assert None not in values
    return f"{mean:.3f} +- {error:.3f}"


NUMBERS = ("none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def job_runs(method: str) -> list[dict[str, Any]]:
    return [run for run in read(QUERIES / "main_job.json")["runs"] if run["method"] == method]


def of(method: str, what: str, digits: int = 3) -> str:
    mean, error = queries.summed(job_runs(method), what)
    return f"{mean:.{digits}f} +- {error:.{digits}f}"


def benchmarks_noise() -> float:
    deviation = Noise(benchmarks.get("mini_rnn")).deviation
    assert min(run["regret"] for run in job_runs("main job")) > -2 * deviation
    return deviation


def main_job_sentences() -> list[str]:
    job, before = "main job", "drawing by hidden covariance"
    random = read(QUERIES / "main_job.json")["random"]
    better = sum(run["regret"] < 0 for run in job_runs(job))
    return [
        f"On {NUMBERS[len(job_runs(job))]} held-out seeds, the validation loss of the result minus that of the GRU is "
        f"{of(job, 'regret')} nats (mean and standard error over seeds). {NUMBERS[better].capitalize()} results are "
        f"below the GRU, by less than two standard deviations of one training ({benchmarks_noise():.3f} each).",
        f"Leave out the GRU, and the loss of the best cell that the job trains minus that of the table's second-best "
        f"cell is {of(job, 'regret without GRU')}.",
        f"Before, `make search` drew 2,000 cells and trained the ten best by hidden covariance. On the same seeds the "
        f"two differences were {of(before, 'regret')} and {of(before, 'regret without GRU')}. For ten random cells the "
        f"expected differences are {random['regret']:.3f} and {random['regret without GRU']:.3f}.",
    ]


def test_the_main_jobs_regret_and_what_stands_beside_it() -> None:
    for sentence in main_job_sentences():
        assert sentence in TEXT
    assert "zeronas search experiment=ten_trainings" in (ROOT / "Makefile").read_text(encoding="utf-8")
    assert METHODS["main job"] == ("experiment=ten_trainings",)
    assert not {1, 2} & set(SEEDS)  # what its settings were chosen on


def proxy_alone_sentence() -> str:
    return (
        f"With hidden covariance alone and three trainings, evolution has a regret of "
        f"{mean_of('evolution', CHOSEN[1])}, and random search one of {mean_of(*CHOSEN)}"
    )


def test_what_a_proxy_alone_finds() -> None:
    assert proxy_alone_sentence() in TEXT


def pool_rows() -> list[str]:
    """Mean rank of the surrogate at 10, 20, 50 and 100 queries, and of what stands beside it, a row each."""
    nlp, without = read(QUERIES / "nas_bench_nlp.json"), "without the outlier"
    own = read(QUERIES / "nas_bench_nlp_by_zeronas.json")

    def row(label: str, points: list[dict[str, Any]]) -> str:
        assert len(points) == len(AT_QUERIES) == 4
        return f"| {' | '.join([label, *(format(one['rank'], '.1f') for one in points)])} |"

    return [
        f"| NAS-Bench-NLP, queries | {' | '.join(map(str, AT_QUERIES))} |",
        row("random search", nlp[f"random {without}"]),
        row("the best by hidden covariance", queries.pooled(nlp, without, "top")),
        row("control: a surrogate that sees no truth", queries.pooled(nlp, without, "spread")),
        row("surrogate", queries.pooled(nlp, without, "gp")),
        row("surrogate, with the outlier", queries.pooled(nlp, "all", "gp")),
        row("the best by `proxy=zeronas`", queries.pooled(own, without, "top")),
        row("control, `proxy=zeronas`", queries.pooled(own, without, "spread")),
        row("surrogate, `proxy=zeronas`", queries.pooled(own, without, "gp")),
        row(
            "surrogate, `proxy=zeronas`, on the half that it was not designed on",
            queries.pooled(own, "other half", "gp"),
        ),
    ]


def pool_sentences() -> list[str]:
    """What the table of mean ranks is of, and the regret on FlexiBERT."""
    nlp, bert = read(QUERIES / "nas_bench_nlp.json"), read(QUERIES / "flexibert.json")

    def regret(method: str) -> str:
        return " / ".join(short(one["regret"]) for one in queries.pooled(bert, "all", method)[:3])

    without = "without the outlier"
    runs = queries.pooled(nlp, without, "gp")[0]["runs"]
    return [
        f"This is the mean rank of the best cell found, over {runs} searches of the {nlp[f'members {without}']:,} "
        f"cells {without}:",
        f"On FlexiBERT the surrogate has a regret of {regret('gp')} points after 10 / 20 / 50 queries, and the best by "
        f"ZeroLM one of {regret('top')}.",
    ]


def test_queries_on_the_public_tables() -> None:
    for sentence in (*pool_rows(), *pool_sentences()):
        assert sentence in TEXT
    assert "neither table shows the surrogate ahead of both its controls" in TEXT
    nlp, bert = read(QUERIES / "nas_bench_nlp.json"), read(QUERIES / "flexibert.json")
    gp, spread = (queries.pooled(nlp, "without the outlier", method) for method in ("gp", "spread"))
    assert abs(gp[2]["rank"] - spread[2]["rank"]) < 1
    assert queries.pooled(bert, "all", "top")[2]["regret"] < queries.pooled(bert, "all", "gp")[2]["regret"]


def optimised_sentence() -> str:
    points = read(QUERIES / "optimised.json")["curve"]

    def said(gate: bool) -> str:
        return " / ".join(f"{100 * one['quantile']:.0f}" for one in points if one["gate"] == gate)

    lost = [sum(one["diverged"] for one in points if one["gate"] == gate) for gate in (False, True)]
    trained = sum(one["trainings"] for one in points if not one["gate"])
    return (
        f"percentile {said(False)} for the best of 1 / 10 / 100 / 1,000 / 10,000 draws, {lost[0]} of {trained} "
        f"diverged; with the gate it has {said(True)}, and {lost[1]} diverged"
    )


def test_the_over_optimisation_curve() -> None:
    assert optimised_sentence() in TEXT


def fitness_sentences() -> list[str]:
    """The project's own fitness by halves, its cost, with labels, under evolution; and Stat-TOPK."""
    data = proxies.read_data()
    tables, survival, variation = data["fitness"]["tables"], data["survival"], data["variation"]

    def tau(table: str, label: str, half: str, of: str = "tie-broken") -> str:
        return short({**tables[table]["proxies"], **tables[table]["baselines"]}[label][half][of], 3)

    def around(table: str, label: str, half: str) -> str:
        low, high = tables[table]["proxies"][label][half]["interval"]
        return f"{tau(table, label, half)} [{short(low, 3)}, {short(high, 3)}]"

    bert, cells, few = "flexibert", "nas_bench_nlp", tables["nas_bench_nlp"]["labels"]["surrogate"]
    best = {method: proxies.best_of_three(survival["runs"], method) for method in ("evolution", "drawing")}
    mean, _, error = judge.mean_and_error([a - b for a, b in zip(best["evolution"], best["drawing"], strict=True)])
    table_best = benchmarks.get("mini_rnn").best.value
    regret, _, spread = judge.mean_and_error([loss - table_best for loss in best["evolution"]])
    lost = [loss for run in survival["runs"] if run["method"] == "evolution" for loss in run["losses"]]
    top = {label: one["top"] for label, one in data["tables"]["nas_bench_nlp"]["proxies"].items()}
    told = [one for table in variation["tables"].values() for one in table["methods"]["Stat-TOPK"].values()]
    better = sum(one["difference"] < 0 and one["p"] is not None and one["p"] < 0.05 / len(told) for one in told)
    return [
        f"FlexiBERT (`bert_reading=trained`) {around(bert, 'zeronas', 'reported')} on the reported half and "
        f"{tau(bert, 'zeronas', 'designed on')} on the one it was designed on (ZeroLM "
        f"{tau(bert, 'zerolm', 'reported')} and {tau(bert, 'zerolm', 'designed on')}, hidden size x layers "
        f"{tau(bert, 'hidden x layers', 'reported')} and {tau(bert, 'hidden x layers', 'designed on')})",
        f"`mini_bert` {around('mini_bert', 'zeronas', 'reported')} and {tau('mini_bert', 'zeronas', 'designed on')}",
        f"NAS-Bench-NLP {around(cells, 'zeronas, long', 'reported')} and {tau(cells, 'zeronas, long', 'designed on')} "
        f"(hidden covariance {tau(cells, 'hidden_covariance', 'reported')} and "
        f"{tau(cells, 'hidden_covariance', 'designed on')})",
        f"`mini_rnn` with `training=short` {around('mini_rnn', 'zeronas, short', 'reported')} and "
        f"{tau('mini_rnn', 'zeronas, short', 'designed on')}, over the cells that train "
        f"{tau('mini_rnn', 'zeronas, short', 'reported', 'trained')} and "
        f"{tau('mini_rnn', 'zeronas, short', 'designed on', 'trained')}",
        f"with {data['fitness']['labels']} labelled cells of NAS-Bench-NLP a surrogate reaches "
        f"{short(few['mean'], 3)} on the other cells, no more than the fitness alone",
        f"{sum(loss is None for loss in lost)} of {len(lost)} finalists of evolution diverge, and the loss of the best "
        f"of three differs by {mean:+.3f} +- {error:.3f} nats from that of random search with the same fitness "
        f"({NUMBERS[len(SURVIVED)]} held-out seeds; its regret is {regret:.3f} +- {spread:.3f})",
        f"the true ranks of its ten best are {top['zeronas']['best_rank']:.0f} at best and "
        f"{top['zeronas']['median_rank']:.0f} at the median, those of the ten best by hidden covariance "
        f"{top['hidden_covariance']['best_rank']:.0f} and {top['hidden_covariance']['median_rank']:.0f}",
        f"better than plain means in {NUMBERS[better] if better else 'none'} of {len(told)} comparisons",
    ]


def test_the_projects_own_fitness() -> None:
    for sentence in fitness_sentences():
        assert sentence in TEXT
    few = proxies.read_data()["fitness"]["tables"]["nas_bench_nlp"]["labels"]
    assert few["surrogate"]["mean"] - few["fitness alone"]["mean"] < few["surrogate"]["error"]
    assert not {1, 2} & set(SURVIVED)  # what its settings were chosen on


def test_the_best_cell_of_the_table_is_the_gru() -> None:
    from spaces.rnn import named_cell

    assert benchmarks.get("mini_rnn").best.key == named_cell("GRU").key
    assert "The best cell of `mini_rnn` is the GRU." in TEXT


def test_the_tables_and_their_noise() -> None:
    rnn, bert = (benchmarks.get(name).sheet for name in ("mini_rnn", "mini_bert"))  # type: ignore[attr-defined]
    data = read(MINI / "tables.json")
    table, agreement = benchmarks.get("mini_rnn"), rnn["agreement"]
    unchosen = agreement["shared, not of the pilot's half"]
    for sentence in (
        f"`mini_rnn` has {len(table.entries) + len(table.diverged)} cells, of which {len(table.diverged)} diverge",
        f"Of the thirty cells, {rnn['retest']['diverged']} diverged with another seed. Two trainings of the other "
        f"{rnn['retest']['architectures']} agree at tau {short(rnn['retest']['tau'])}; over all thirty, with diverged "
        f"trainings tied last, they agree at {short(rnn['retest']['tau_all'])}.",
        f"Two trainings of the configurations agree at {short(bert['retest']['tau'])}, and none diverged.",
        f"would reach {short(data['mini_rnn']['noise']['ceiling'])} and "
        f"{short(data['mini_bert']['noise']['ceiling'])} with one training",
        f"agrees only at tau {short(agreement['shared']['tau'])} ({agreement['shared']['cells']} shared cells; "
        f"{short(unchosen['tau'])} over those",
    ):
        assert sentence in TEXT
    assert rnn["retest"]["repeated"] == bert["retest"]["repeated"] == 30 and bert["retest"]["diverged"] == 0


def test_what_the_proxies_are_worth_on_them() -> None:
    data = read(MINI / "tables.json")
    rnn, bert = data["mini_rnn"]["proxies"], data["mini_bert"]["proxies"]
    micro = data["mini_rnn"]["micro"]
    third = max((rnn[f"hidden_covariance_3_{v}"] for v in ("released", "corrected")), key=lambda one: _all(one)["tau"])

    def interval(one: dict[str, Any]) -> str:
        low, high = _all(one)["tau_interval"]
        return f"{short(_all(one)['tau'])} [{short(low)}, {short(high)}]"

    for sentence in (
        f"diverged ones last, at tau {interval(micro)} (layer 1, micro probe) to {interval(third)} (layer 3, small",
        f"among the cells that train at {short(micro['agreement']['tau'])} and {short(third['agreement']['tau'])}. "
        f"Parameters: {short(_all(rnn['parameters'])['tau'])} and {short(rnn['parameters']['agreement']['tau'])}",
        f"ranks configurations at tau = {short(_all(bert['softmax_confidence_corrected'])['tau'])} when summed over "
        f"layers (`normalised=false`), {short(_all(bert['softmax_confidence_normalised_corrected'])['tau'])} when "
        f"averaged",
        f"its released variant at {short(_all(bert['softmax_confidence_released'])['tau'])}",
        f"depth alone at {short(_all(bert['depth'])['tau'])}, parameters at {short(_all(bert['parameters'])['tau'])}",
    ):
        assert sentence in TEXT
    assert data["operations"]["p"] < 1e-15 and "F-test, p below 1e-15" in TEXT
    p = read(PAPER / "reduction.json")["operation_test"]["p"]
    assert f"in FlexiBERT it has none (p = {short(p)})" in TEXT


def _all(one: dict[str, Any]) -> dict[str, Any]:
    return dict(one["agreement_all"])


def test_which_cells_diverge() -> None:
    growth = read(MINI / "tables.json")["growth"]
    explode, stable = (
        [growth[kind] for kind in kinds] for kinds in (("exponential", "superexponential"), ("bounded", "linear"))
    )
    words = [f"{sum(g['diverged'] for g in part)} of {sum(g['cells'] for g in part)}" for part in (explode, stable)]
    assert f"whose states can explode {words[0]} diverge, of those in `reduction=stable` {words[1]}." in TEXT


def test_hidden_covariance_beside_the_published_column() -> None:
    found = read(PAPER / "hidden_covariance" / "results.json")["proxies"]
    published, unique = found["hidden_covariance"]["runs"]["published"], found["hidden_covariance"]["agreement"]
    low, high = unique["tau_interval"]
    assert (
        f"| {short(published['tau_of_column'], 4)} | {short(published['tau'], 4)} (Spearman with the published column "
        f"{short(published['spearman'], 4)};" in TEXT
    )
    assert f"| {short(unique['tau'], 3)} [{short(low, 3)}, {short(high, 3)}] |" in TEXT
    parameters = found["parameters"]["agreement"]
    low, high = parameters["tau_interval"]
    assert f"| {short(parameters['tau'], 3)} [{short(low, 3)}, {short(high, 3)}] |" in TEXT


def test_what_searches_of_several_objectives_come_to() -> None:
    tables = read(SYSTEMS / "pareto.json")["tables"]

    def hypervolume(table: str, method: str) -> str:
        rows = [row for name, row in tables[table]["rows"].items() if name.startswith(f"two; {method}; ")]
        mean, _, error = judge.mean_and_error([row["hypervolume"][-1] for row in rows])
        assert len(rows) == 30
        return f"{mean:.3f} +- {error:.3f}"

    def tests(table: str, *pair: str) -> list[dict[str, Any]]:
        return [one for one in tables[table]["tests"] if one["pair"] == list(pair)]

    def told(one: dict[str, Any]) -> bool:
        """Whether the first of the pair is significantly better."""
        gain = one["difference"] if one["indicator"] == "hypervolume" else -one["difference"]
        return gain > 0 and one["p_holm"] < 0.05

    ours = [one for table in tables for one in tests(table, "mtf_pdns", "nsga2")]
    assert len(tables) == 4 and len(ours) == 24 and not any(map(told, ours))
    [volume] = [
        one
        for one in tests("flexibert", "mtf_pdns", "nsga2")
        if (one["set"], one["indicator"]) == ("two", "hypervolume")
    ]
    assert volume["difference"] < 0 and volume["p_holm"] < 0.05
    for method in ("mtf_pdns", "nsga2"):
        assert not any(map(told, tests("mini_bert", method, "random")))
        by_volume = [one for one in tests("nas_bench_nlp", method, "random") if one["indicator"] == "hypervolume"]
        assert len(by_volume) == 2 and all(map(told, by_volume))
    assert (
        f"NSGA-II is the better one: hypervolume {hypervolume('flexibert', 'nsga2')} against "
        f"{hypervolume('flexibert', 'mtf_pdns')}, where the table's own front has "
        f"{tables['flexibert']['best']['hypervolume']:.3f}. Both beat random search on NAS-Bench-NLP "
        f"({hypervolume('nas_bench_nlp', 'mtf_pdns')} and {hypervolume('nas_bench_nlp', 'nsga2')} against "
        f"{hypervolume('nas_bench_nlp', 'random')}, by hidden covariance and parameters)"
    ) in TEXT


def systems() -> dict[str, Any]:
    return {name: read(SYSTEMS / f"{name}.json") for name in TABLES}


def advice_rows() -> list[str]:
    """For each budget what to take on cells and on BERT, and what it comes to on the public table of the space."""
    data, rows = systems(), []
    for at in (0, *AT):
        cells = [str(at)]
        for space, (public, _) in SPACES.items():
            advice = advised(data, space, at)
            regret, error, random = next(told[2:] for told in advice.told if told[:2] == (public, "all"))
            typed = overrides(advice.system)
            assert typed is not None
            typed = typed.replace("METRIC", METRICS[space][0]).replace("verify=N" if at == 0 else "no", "verify=1")
            cells.append(f"`{typed}`: {short(regret, 3)} +- {short(error, 3)} ({short(random, 3)})")
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def claims_sentence() -> str:
    """How many of the claims hold, and in how many pools."""
    data = systems()
    found = [[one.verdict for one in outcomes(claim, data)] for claim in CLAIMS]
    holds, _, against = (sum(verdicts.count(one) for verdicts in found) for one in VERDICTS)
    mostly = sum(verdicts.count(VERDICTS[0]) > len(verdicts) / 2 for verdicts in found)
    return (
        f"Of {len(CLAIMS)} published claims that these tables can test, {mostly} hold in most of the {len(found[0])} "
        f"pools. Over all claims and pools, {holds} of {sum(map(len, found))} comparisons agree with the publication, "
        f"{against} contradict it, and the rest show no significant difference"
    )


def test_which_system_to_take() -> None:
    for sentence in (*advice_rows(), claims_sentence()):
        assert sentence in TEXT
    data = systems()
    found = {(claim.better, claim.than): [one.verdict for one in outcomes(claim, data)] for claim in CLAIMS}
    robot = found["robot", "top by the field's metric"]
    worse = NUMBERS[robot.count(VERDICTS[2])]
    assert f"RoBoT in particular is worse than ranking by one good metric in {worse} pools and better in none." in TEXT
    assert VERDICTS[0] not in robot
    assert set(found["proxybo", "optuna gp"]) == {VERDICTS[0]}
    assert found["zero_cost", "ageing evolution"].count(VERDICTS[0]) == 6
    assert (
        "ProxyBO is better than plain Bayesian optimisation in all eight pools, and Zero-Cost-NAS is better than plain "
        "evolution in six." in TEXT
    )


def test_what_optuna_costs_and_finds_by_codes() -> None:
    data = read(SYSTEMS / "optuna_cost.json")
    cost = {(r["fitness"], r["sampler"], r["which"]): r for r in data["cost"]["rows"] if r["space"] == "rnn"}
    found = {r["sampler"]: r for r in data["found"]["rows"] if r["space"] == "rnn"}

    def mean(sampler: str, which: str) -> tuple[str, str]:
        row = cost["hidden_covariance", sampler, which]["milliseconds"]
        at = max(row, key=int)
        return f"{row[at]['mean_so_far']:.{0 if which == 'before' else 1}f}", f"{int(at):,}"

    def proposal(which: str) -> str:
        return f"{cost['nothing', 'gp', which]['milliseconds']['50']['processor']['median']:.0f} ms"

    (tpe, before), (nsga, slow) = ((mean(one, "after")[0], mean(one, "before")[0]) for one in ("tpe", "nsga2"))
    assert {mean(one, "after")[1] for one in ("tpe", "nsga2")} == {mean("nsga2", "before")[1]} == {"2,000"}
    for sentence in (
        f"over 2,000 evaluations TPE takes {tpe} ms for each, and NSGA-II {nsga} ms; conditional suggestions took "
        f"{before} ms over the {mean('tpe', 'before')[1]} that fitted into the same time, and {slow} ms over 2,000.",
        f"TPE in {NUMBERS[found['tpe']['better']]} of ten paired seeds (p = {found['tpe']['p']:.2g}), NSGA-II in "
        f"{NUMBERS[found['nsga2']['better']]} (p = {found['nsga2']['p']:.2g}).",
        f"takes {proposal('after')} a proposal after 50 truths, more than before ({proposal('before')}, when",
    ):
        assert sentence in TEXT
    assert {len(found[one]["after"]) for one in found} == {10}
    assert all(found[one]["p"] < 0.05 and found[one]["better"] > found[one]["worse"] for one in found)


def test_what_a_million_draws_take_and_what_stands_beside() -> None:
    found = read(SCALE / "speed.json")
    million, (micro, paper) = found["million"], (found["workers"][name] for name in ("micro", "paper"))

    def of(one: dict[str, Any], digits: int = 2) -> str:
        low, high = min(one["ratios"]), max(one["ratios"])
        return f"{one['median']:,.{digits}f} ({low:,.{digits}f} to {high:,.{digits}f})"

    one, all_six = found["order"]["one"], found["order"]["all"]
    for sentence in (
        f"a million draws ({million['distinct']:,} distinct cells) take {million['seconds'] / 60:.1f} minutes, "
        f"{million['milliseconds_a_draw_and_core']:.2f} ms a draw and core; the main process needs "
        f"{million['driver_peak_mib']:.0f} MiB at most, and a screening that was stopped at nine tenths continues "
        f"after {million['seconds_to_go_on_at_nine_tenths']:.1f} s;",
        f"two workers beside one: {of(micro)} times on the micro probe, where more than 2 is the machine's noise, and "
        f"{of(paper)} at the paper's sizes;",
        f"the loop of a search adds {found['engine']['median']:.3f} ms to each of {found['engine']['evaluations']:,} "
        "evaluations;",
        f"takes {of(one, 0)} times as long for one metric and {of(all_six, 0)} times for the paper's "
        f"{NUMBERS[len(found['order']['metrics'])]}.",
        f"Two actors take {of(found['cluster'])} times as long as two local workers.",
    ):
        assert sentence in TEXT
    assert million["draws"] == million["scored_this_session"] == 1_000_000 and million["same_table"]
    hardships = read(SCALE / "hardships.json")
    assert len(hardships) == 6 and all(one["right"] for name, one in hardships.items() if name != "versions")
    nodes = read(SCALE / "nodes.json")
    lost = {name: one["right"] for name, one in nodes.items() if isinstance(one, dict) and name != "versions"}
    assert lost == {"search": True, "trainings": True} and nodes["nodes"] == 3
    assert "Of three nodes one was killed, once during a search and once during trainings:" in TEXT


def test_what_bad_inputs_and_kills_do() -> None:
    found = read(FAULTS)
    inputs, kills = found["inputs"].values(), found["kills"].values()
    assert not sum(one["traceback"] + one["hang"] + one["lost"] for one in inputs)
    assert sum(one["same"] for one in kills) == sum(one["runs"] for one in kills) == sum(one["killed"] for one in kills)
    assert (
        f"Of {sum(one['inputs'] for one in inputs):,} generated bad inputs none ends in a traceback or hangs, and "
        f"{sum(one['runs'] for one in kills)} runs of {NUMBERS[len(kills)]} kinds that were killed and continued have "
        "the results of undisturbed ones" in TEXT
    )


def test_how_large_a_page_is() -> None:
    rows = read(SCALE / "page.json")["rows"]
    assert rows["on_the_page"] == rows["evaluations"]
    assert (
        f"A page of {rows['evaluations']:,} evaluations shows every one of them and has {rows['bytes'] / 1e6:.1f} MB."
        in TEXT
    )


def test_the_pilots_figures() -> None:
    pilot = read(MINI / "pilot.json")
    beside = {name: one.get("beside the chosen") for name, one in pilot["protocols"].items()}
    assert highest_tau(pilot) < WANTED
    assert (
        f"Of {NUMBERS[len(beside)]} protocols that were tried on them none comes above {short(highest_tau(pilot))} "
        "after any number of updates" in TEXT
    )
    longer, dropped = beside["2,000 updates"], beside["drop-out .25, weight drop .5"]
    low, high = longer["tau_interval"]
    assert (
        f"twice the updates raise that by {short(longer['tau'])} [{short(low)}, {short(high)}], and drop-out with "
        f"weight drop lowers it by {short(-dropped['tau'])}." in TEXT
    )


def test_the_figures_have_a_source_that_varies() -> None:
    """A guard of this file's own: the helper writes numbers as the README does, and refuses what it should."""
    assert (short(-0.0156), short(0.5948), short(1.5), short(0.3710, 4)) == ("-.02", ".59", "1.50", ".3710")
    assert statistics.mean([value for value in regrets(*CHOSEN, "choice") if value is not None]) > 0
    with pytest.raises(AssertionError):
        mean_of("evolution", 0.03, "choice")  # two of its seeds have no regret
