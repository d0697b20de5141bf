"""Hand-written features for six known databases: each function takes the tables as of a cutoff and returns them per entity."""

from __future__ import annotations

import numpy as np
import pandas as pd
from _afternoon_tools import codes, counts, lasts, means, recency, since

Tables = dict[str, pd.DataFrame]


def formula1(past: Tables, cutoff: pd.Timestamp) -> pd.DataFrame:
    """rel-f1, driver-dnf: reliability of driver and car, qualifying form, standing, age."""
    results = past["results"].assign(dnf=(past["results"]["statusId"] != 1).astype(float))
    results["gained"] = results["grid"] - results["positionOrder"]
    columns = ["dnf", "positionOrder", "grid", "points", "laps", "gained"]
    parts = [
        counts(results, "driverId", "date", cutoff, (30, 90, 365, 1095), "races"),
        recency(results, "driverId", "date", cutoff, "race"),
        means(results, "driverId", "date", cutoff, (90, 365, 1095), columns, "own"),
        *(lasts(results, "driverId", columns, rows, "own") for rows in (1, 3, 10)),
    ]
    quali = past["qualifying"]
    parts.append(means(quali, "driverId", "date", cutoff, (60, 365), ["position"], "quali"))
    parts.append(lasts(past["standings"], "driverId", ["points", "position", "wins"], 1, "standing"))
    team = results.groupby("driverId")["constructorId"].last()
    for days in (90, 365):
        lately = since(results, "date", cutoff, days)
        of_team = lately.groupby("constructorId")[columns].mean()
        parts.append(of_team.reindex(team).set_axis(team.index).add_prefix(f"team_{days}_"))
        field = lately[["dnf", "laps"]].mean()
        parts.append(pd.DataFrame({f"field_{days}_{name}": value for name, value in field.items()}, index=team.index))
    parts.append(lasts(past["constructor_standings"], "constructorId", ["points", "position"], 1, "team_standing")
                 .reindex(team).set_axis(team.index))  # fmt: skip
    engines = since(results, "date", cutoff, 365).groupby("constructorId")["driverId"].nunique()
    parts.append(engines.reindex(team).set_axis(team.index).rename("team_mates"))
    table = pd.concat(parts, axis=1)
    drivers = past["drivers"].set_index("driverId")
    table["age"] = (cutoff - pd.to_datetime(drivers["dob"]).reindex(table.index)).dt.days / 365.25
    table["nationality"] = codes(drivers["nationality"]).reindex(table.index)
    calendar = past["races"]
    table["season_races"] = int((calendar["date"].dt.year == cutoff.year).sum())
    table["month"], table["year"] = cutoff.month, cutoff.year
    table["dnf_excess"] = table["own_last10_dnf"] - table["team_365_dnf"]
    return table


def votes(past: Tables, cutoff: pd.Timestamp) -> pd.DataFrame:
    """un-votes, country-agrees-us: agreement with the United States by window and issue, and that of like-minded countries."""
    cast = past["votes"]
    american = cast[cast["country_id"] == 187].set_index("rcid")["vote"]
    cast = cast.assign(us=cast["rcid"].map(american), yes=cast["vote"] == "yes", no=cast["vote"] == "no")
    cast["agree"] = (cast["vote"] == cast["us"]).astype(float).where(cast["us"].notna())
    cast["abstain"] = (cast["vote"] == "abstain").astype(float)
    cast[["yes", "no"]] = cast[["yes", "no"]].astype(float)
    columns, windows = ["agree", "yes", "no", "abstain"], (365, 730, 1825)
    parts = [
        means(cast, "country_id", "date", cutoff, windows, columns, "own"),
        counts(cast, "country_id", "date", cutoff, windows, "votes"),
        recency(cast, "country_id", "date", cutoff, "vote"),
    ]
    split = since(cast, "date", cutoff, 1825).groupby("rcid")["no"].mean()
    contested = cast[cast["rcid"].map(split) > 0.1]
    parts.append(contested.groupby("country_id")["agree"].mean().rename("agree_contested"))
    lately = since(cast, "date", cutoff, 730)
    by_issue = lately.merge(past["roll_call_issues"][["rcid", "short_name"]], on="rcid")
    table_of_issues = by_issue.pivot_table(index="country_id", columns="short_name", values="agree")
    parts.append(table_of_issues.reindex(columns=["me", "nu", "di", "hr", "co", "ec"]).add_prefix("issue_"))
    sign = lately["vote"].map({"yes": 1.0, "no": -1.0, "abstain": 0.0})
    ballots = lately.assign(sign=sign).pivot_table(index="country_id", columns="rcid", values="sign").fillna(0.0)
    matrix = ballots.to_numpy()
    norm = np.linalg.norm(matrix, axis=1, keepdims=True)
    unit = matrix / np.where(norm > 0, norm, 1.0)
    alike = unit @ unit.T
    np.fill_diagonal(alike, -1.0)
    agreement = since(cast, "date", cutoff, 365).groupby("country_id")["agree"].mean().reindex(ballots.index)
    nearest = np.argsort(-alike, axis=1)[:, :10]
    near = pd.Series(np.nanmean(agreement.fillna(agreement.mean()).to_numpy()[nearest], axis=1), ballots.index)
    parts.append(near.rename("agree_of_ten_nearest"))
    if 187 in ballots.index:
        parts.append(pd.Series(alike[:, ballots.index.get_loc(187)], ballots.index, name="cosine_with_us"))
    table = pd.concat(parts, axis=1)
    own = cast[cast["country_id"] == 187]
    table["us_no_share"] = since(own, "date", cutoff, 365)["no"].mean()
    table["world_agrees"] = since(cast, "date", cutoff, 365)["agree"].mean()
    table["trend"] = table["own_365_agree"] - table["own_1825_agree"]
    table["relative"] = table["own_365_agree"] - table["world_agrees"]
    table["year"] = cutoff.year
    return table


def bitcoin(past: Tables, cutoff: pd.Timestamp) -> pd.DataFrame:
    """bitcoin-otc, user-gets-negative: ratings got and given, weighted by what the raters themselves got."""
    ratings, windows = past["ratings"], (30, 91, 182, 730)
    trust = ratings.groupby("rated_id")["rating"].mean()
    harsh = ratings.groupby("rater_id")["negative"].mean()
    busy = ratings.groupby("rater_id").size()
    ratings = ratings.assign(
        trust=ratings["rater_id"].map(trust),
        harsh=ratings["rater_id"].map(harsh),
        busy=ratings["rater_id"].map(busy),
        of=ratings["rated_id"].map(trust),
    )
    ratings["weighted"] = ratings["rating"] * ratings["trust"].clip(lower=0).fillna(0)
    got = ["rating", "negative", "trust", "harsh", "busy", "weighted"]
    parts = [
        counts(ratings, "rated_id", "time", cutoff, windows, "got"),
        recency(ratings, "rated_id", "time", cutoff, "got"),
        means(ratings, "rated_id", "time", cutoff, (91, 365), got, "got"),
        lasts(ratings, "rated_id", ["rating", "negative", "trust"], 1, "got"),
        lasts(ratings, "rated_id", ["rating", "negative", "trust"], 5, "got"),
        counts(ratings, "rater_id", "time", cutoff, windows, "gave"),
        recency(ratings, "rater_id", "time", cutoff, "gave"),
        means(ratings, "rater_id", "time", cutoff, (91, 365), ["rating", "negative", "of"], "gave"),
    ]
    bad = ratings[ratings["negative"] == 1]
    parts.append(counts(bad, "rated_id", "time", cutoff, windows, "bad"))
    parts.append(recency(bad, "rated_id", "time", cutoff, "bad"))
    parts.append(counts(bad, "rater_id", "time", cutoff, windows, "gave_bad"))
    spread = ratings.groupby("rated_id")["rating"].agg(["min", "max", "std", "sum"]).add_prefix("got_")
    parts.append(spread)
    pairs = ratings[["rater_id", "rated_id", "rating"]]
    back = pairs.merge(
        pairs, left_on=["rater_id", "rated_id"], right_on=["rated_id", "rater_id"], suffixes=("", "_back")
    )
    parts.append(back.groupby("rated_id")[["rating", "rating_back"]].mean().add_prefix("mutual_"))
    parts.append(back.groupby("rated_id").size().rename("mutual"))
    fight = since(bad, "time", cutoff, 182)
    enemies = fight["rated_id"].map(fight.groupby("rater_id").size())
    parts.append(enemies.groupby(fight["rater_id"]).sum().rename("attacked_fighters"))
    table = pd.concat(parts, axis=1)
    table["first_seen"] = (cutoff - past["users"].set_index("user_id")["first_seen"].reindex(table.index)).dt.days
    for name in ("got_30", "got_91", "got_all", "bad_91", "bad_182", "bad_all", "gave_91", "gave_all", "gave_bad_91"):
        table[name] = table[name].fillna(0)
    table["bad_share"] = table["bad_182"] / table["got_182"].clip(lower=1)
    table["give_take"] = table["gave_all"] / table["got_all"].clip(lower=1)
    table["market"] = len(since(bad, "time", cutoff, 91)) / max(len(since(ratings, "time", cutoff, 91)), 1)
    return table


def dpdk(past: Tables, cutoff: pd.Timestamp) -> pd.DataFrame:
    """dpdk-git, person-commits: own commits and reviews by window, colleagues, what the files' components see."""
    commits, windows = past["commits"], (30, 90, 180, 365)
    columns = ["has_fixes", "n_files", "additions", "deletions", "message_chars", "days_since_authored", "cc_stable"]
    parts = [
        counts(commits, "author_id", "time", cutoff, windows, "commits"),
        recency(commits, "author_id", "time", cutoff, "commit"),
        means(commits, "author_id", "time", cutoff, (90, 365), columns, "commit"),
        counts(commits, "committer_id", "time", cutoff, windows, "committed"),
    ]
    trailers = past["trailers"]
    for role in ("reviewed", "acked", "tested", "signed-off"):
        parts.append(counts(trailers[trailers["role"] == role], "person_id", "time", cutoff, (90, 365), role))
    parts.append(recency(trailers, "person_id", "time", cutoff, "trailer"))
    for back in (1, 2, 3, 4):
        end = cutoff - pd.Timedelta(days=90 * (back - 1))
        quarter = commits[(commits["time"] <= end) & (commits["time"] > end - pd.Timedelta(days=90))]
        parts.append(quarter.groupby("author_id").size().rename(f"quarter_{back}"))
    days = commits["time"].dt.floor("D")
    parts.append(days.groupby(commits["author_id"]).nunique().rename("days"))
    authors = commits.set_index("commit_id")["author_id"]
    fixes = past["fixes"]
    fixed = fixes.assign(author=fixes["fixed_commit_id"].map(authors))
    parts.append(counts(fixed, "author", "time", cutoff, (90, 365), "fixed"))
    changes = since(past["file_changes"], "time", cutoff, 365)
    changes = changes.assign(author=changes["commit_id"].map(authors))
    component = changes["file_id"].map(past["files"].set_index("file_id")["component"])
    lively = component.map(component.value_counts())
    parts.append(lively.groupby(changes["author"]).mean().rename("component_changes"))
    parts.append(component.groupby(changes["author"]).nunique().rename("components"))
    shared = changes["file_id"].map(changes.groupby("file_id")["author"].nunique())
    parts.append(shared.groupby(changes["author"]).mean().rename("authors_of_files"))
    table = pd.concat(parts, axis=1)
    people = past["people"].set_index("person_id")
    org = people["org"].reindex(table.index)
    lately = since(commits, "time", cutoff, 90)
    of_org = lately["author_id"].map(people["org"]).value_counts()
    table["org_commits"], table["org_people"] = org.map(of_org), org.map(people["org"].value_counts())
    table["org_per_head"] = table["org_commits"] / table["org_people"]
    table["quarter_1"] = table["quarter_1"].fillna(0)
    table["change"] = np.log1p(table["quarter_1"]) - np.log1p(table["quarter_2"].fillna(0))
    table["year_ago"] = table["quarter_4"].fillna(0)
    table["month"] = cutoff.month
    return table


def easybuild(past: Tables, cutoff: pd.Timestamp) -> pd.DataFrame:
    """easybuild-software, software-new-build: own builds, toolchains, dependents and dependencies, contributors."""
    configs, windows = past["easyconfigs"], (30, 91, 182, 365, 730)
    family = configs["toolchain"].map(past["toolchains"].set_index("toolchain")["family"])
    configs = configs.assign(family=family)
    columns = ["has_suffix", "n_exts", "n_patches", "n_sources", "chars"]
    parts = [
        counts(configs, "software", "time", cutoff, windows, "builds"),
        recency(configs, "software", "time", cutoff, "build"),
        means(configs, "software", "time", cutoff, (730,), columns, "build"),
        configs.groupby("software")[["version", "toolchain", "change_id"]].nunique().add_prefix("distinct_"),
        configs.groupby("software")["moduleclass"].last().pipe(codes).rename("moduleclass"),
        configs.groupby("software")["easyblock"].last().pipe(codes).rename("easyblock"),
    ]
    needs = past["dependencies"]
    parts += [
        counts(needs, "dep_software", "time", cutoff, windows, "needed"),
        recency(needs, "dep_software", "time", cutoff, "needed"),
    ]
    of_config = configs.set_index("easyconfig_id")["software"]
    needs = needs.assign(software=needs["easyconfig_id"].map(of_config))
    last_built = configs.groupby("software")["time"].max()
    age = (cutoff - needs["dep_software"].map(last_built)).dt.days
    parts.append(age.groupby(needs["software"]).agg(["min", "mean"]).add_prefix("dependency_age_"))
    dependent_age = (cutoff - needs["software"].map(last_built)).dt.days
    parts.append(dependent_age.groupby(needs["dep_software"]).agg(["min", "mean"]).add_prefix("dependent_age_"))
    parts.append(needs.groupby("dep_software")["software"].nunique().rename("dependents"))
    edits = past["edits"].assign(software=past["edits"]["easyconfig_id"].map(of_config))
    parts.append(counts(edits, "software", "time", cutoff, (91, 365), "edits"))
    changes = past["changes"]
    who = configs["change_id"].map(changes.set_index("change_id")["author_id"])
    active = since(changes, "time", cutoff, 91).groupby("author_id").size()
    lately = configs["time"] > cutoff - pd.Timedelta(days=730)
    parts.append(who[lately].map(active).fillna(0).groupby(configs["software"][lately]).agg(["mean", "max"])
                 .add_prefix("contributor_active_"))  # fmt: skip
    parts.append(who.groupby(configs["software"]).nunique().rename("contributors"))
    used = since(configs, "time", cutoff, 182)["toolchain"].value_counts()
    newest = configs.groupby("software")["toolchain"].last()
    parts.append(newest.map(used).fillna(0).rename("toolchain_in_use"))
    table = pd.concat(parts, axis=1)
    table["builds_per_year"] = table["builds_all"] / (table["build_first"] / 365.25).clip(lower=0.25)
    table["index_builds"] = len(since(configs, "time", cutoff, 91))
    table["month"], table["year"] = cutoff.month, cutoff.year
    return table


def tour(past: Tables, cutoff: pd.Timestamp) -> pd.DataFrame:
    """tour-de-france, entry-top10: this Tour so far, the last stages, earlier Tours of the rider, the team."""
    entries = past["entries"].set_index("entry_id")
    results = past["results"].assign(top10=lambda r: (r["rank"] <= 10).astype(float), won=lambda r: r["rank"] == 1)
    results["won"] = results["won"].astype(float)
    results = results.join(entries[["rider_id", "team_id", "edition"]], on="entry_id")
    now = results[results["date"] > cutoff - pd.Timedelta(days=40)]
    columns = ["rank_share", "top10", "won", "gap_seconds", "points"]
    parts = [
        now.groupby("entry_id")[columns].mean().add_prefix("tour_"),
        now.groupby("entry_id")[["rank", "rank_share", "gap_seconds"]].min().add_prefix("best_"),
        now.groupby("entry_id")[["top10", "won", "gap_seconds"]].sum().add_prefix("sum_"),
        now.groupby("entry_id")["rank_share"].std().rename("spread"),
        now.groupby("entry_id").size().rename("stages"),
        *(lasts(now, "entry_id", columns, rows, "own") for rows in (1, 3, 6)),
    ]
    table = pd.concat(parts, axis=1)
    table["overall"] = table["sum_gap_seconds"].rank(pct=True)
    table["rank_of_form"] = table["own_last3_rank_share"].rank(pct=True)
    own = entries.reindex(table.index)
    before = results[results["date"] <= cutoff - pd.Timedelta(days=40)]
    career = before.groupby("rider_id")[["rank_share", "top10", "won"]].mean().add_prefix("career_")
    career["career_stages"] = before.groupby("rider_id").size()
    career["career_tours"] = before.groupby("rider_id")["edition"].nunique()
    career["career_tops"] = before.groupby("rider_id")["top10"].sum()
    recent = before[before["date"] > cutoff - pd.Timedelta(days=800)]
    career = career.join(recent.groupby("rider_id")[["rank_share", "top10"]].mean().add_prefix("recent_"))
    team = now.groupby("team_id")[["rank_share", "top10", "won"]].mean().add_prefix("team_")
    team["team_riders"] = now.groupby("team_id")["entry_id"].nunique()
    team["team_best"] = now.groupby("team_id")["rank_share"].min()
    table = table.join(career.reindex(own["rider_id"]).set_axis(table.index))
    table = table.join(team.reindex(own["team_id"]).set_axis(table.index))
    table["age"] = own["age"]
    lost = past["exits"][past["exits"]["date"] > cutoff - pd.Timedelta(days=40)]
    table["share_left"] = len(lost) / max(len(table), 1)
    stages = past["stages"][past["stages"]["date"] > cutoff - pd.Timedelta(days=40)]
    table["stage_no"], table["year"] = stages["stage_no"].max(), cutoff.year
    table["field"] = len(table)
    table["above_team"] = table["tour_rank_share"] - table["team_rank_share"]
    return table
