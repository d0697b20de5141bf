"""Databases that several tests of the sources read."""

from __future__ import annotations

import pytest

#: Types met in practice, names with quotes and reserved words, keys of every kind.
SHOP = """
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE DOMAIN amount AS numeric(12, 2);
CREATE TABLE customers (
    id serial PRIMARY KEY, "User" text, mood mood, tags text[], doc jsonb, u uuid, pic bytea, email text NOT NULL UNIQUE);
COMMENT ON TABLE customers IS 'People';
COMMENT ON COLUMN customers.mood IS 'how they feel';
CREATE TABLE orders (
    id bigint PRIMARY KEY, "select" int REFERENCES customers, placed timestamptz, valid timestamp DEFAULT 'infinity',
    total amount, pieces numeric(12, 0), pause interval, huge numeric, paid boolean, day date, at time,
    price money, code char(5), small smallint, ratio real, share double precision, span int4range, host inet,
    "it's ""odd"" here" text);
CREATE TABLE lines (
    number int, "order" bigint REFERENCES orders, part numeric, PRIMARY KEY ("order", number));
CREATE TABLE notes (line int, "order" bigint, word text, FOREIGN KEY ("order", line) REFERENCES lines ("order", number));
CREATE TABLE visits (customer int REFERENCES customers, day date) PARTITION BY RANGE (day);
CREATE TABLE visits_2020 PARTITION OF visits FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE visits_2021 PARTITION OF visits FOR VALUES FROM ('2021-01-01') TO ('2022-01-01');
CREATE VIEW dear AS SELECT * FROM orders WHERE total > 100;
CREATE MATERIALIZED VIEW days AS SELECT DISTINCT day FROM visits;
INSERT INTO customers ("User", mood, tags, doc, u, pic, email) VALUES
    ('Zoë', 'ok', '{a,b}', '{"x": 1}', '00000000-0000-0000-0000-000000000001', '\\x00', 'z@x'),
    ('Bob', NULL, NULL, NULL, NULL, NULL, 'b@x');
INSERT INTO orders VALUES
    (1, 1, '2020-01-01 10:00+02', DEFAULT, 120.50, 12, '1 day 02:00', 1e20, true, '2020-01-01', '10:00', 12.5, 'ab', 1,
     0.5, 0.25, '[1,3)', '10.0.0.1', 'x'),
    (2, 2, NULL, '2020-01-01', NULL, NULL, NULL, NULL, NULL, '-infinity', NULL, NULL, NULL, NULL, NULL, 'NaN', NULL, NULL,
     NULL);
INSERT INTO lines VALUES (1, 1, 1.0), (2, 1, 2.50), (1, 2, NULL);
INSERT INTO notes VALUES (1, 1, 'first'), (2, 1, 'second'), (NULL, 2, 'none');
INSERT INTO visits VALUES (1, '2020-02-02'), (2, '2021-02-02');
"""


@pytest.fixture(scope="session")
def shop_uri(postgres):
    """A small shop in PostgreSQL."""
    return postgres.create("shop", SHOP)
