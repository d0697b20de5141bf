-- A public library on PostgreSQL: twelve tables in two schemas, two and a half years, 700 members. All values are drawn
-- from hashes of their keys, so that every server makes the same database.
--   createdb library && psql library -f library.sql

CREATE SCHEMA catalog;
CREATE SCHEMA circulation;

-- A number in [0, 1) that depends on its arguments alone.
CREATE FUNCTION pg_temp.draw(what text, VARIADIC keys bigint[]) RETURNS double precision IMMUTABLE LANGUAGE sql AS
$$ SELECT ('x' || substr(md5(what || keys::text), 1, 8))::bit(32)::bigint / 4294967296.0 $$;

CREATE TABLE catalog.publishers (id int PRIMARY KEY, name text NOT NULL, country char(2));
INSERT INTO catalog.publishers
SELECT i, 'House ' || i, CASE WHEN i % 7 = 0 THEN NULL ELSE (ARRAY['DE', 'FR', 'GB', 'US'])[1 + i % 4] END
FROM generate_series(1, 40) i;

CREATE TABLE catalog.subjects (code text PRIMARY KEY, label text NOT NULL, parent text REFERENCES catalog.subjects);
INSERT INTO catalog.subjects
SELECT 'S' || i, (ARRAY['Crime', 'Travel', 'History', 'Gardening', 'Physics'])[1 + i % 5] || ' ' || i,
       CASE WHEN i > 5 THEN 'S' || (1 + i % 5) END
FROM generate_series(1, 25) i;

CREATE TABLE catalog.authors (id int PRIMARY KEY, name text NOT NULL, born int);
INSERT INTO catalog.authors
SELECT i, 'Author ' || i, CASE WHEN i % 5 > 0 THEN 1900 + i % 95 END FROM generate_series(1, 300) i;

CREATE TABLE catalog.works (
    id int PRIMARY KEY, title text NOT NULL, summary text, publisher_id int REFERENCES catalog.publishers,
    subject text NOT NULL REFERENCES catalog.subjects, published date
);
INSERT INTO catalog.works
SELECT i, 'The ' || (ARRAY['Silent', 'Long', 'Green', 'Last', 'Second'])[1 + i % 5] || ' Book of ' || i,
       'A story about ' || (ARRAY['a harbour', 'two sisters', 'the war', 'a garden', 'early machines'])[1 + i % 5]
       || ', told in ' || 2 + i % 9 || ' parts.',
       CASE WHEN i % 11 > 0 THEN 1 + i % 40 END, 'S' || (6 + i % 20), date '1960-01-01' + (i * 37 % 22000)
FROM generate_series(1, 900) i;

CREATE TABLE catalog.work_authors (
    work_id int REFERENCES catalog.works, author_id int REFERENCES catalog.authors, role text NOT NULL,
    PRIMARY KEY (work_id, author_id)
);
INSERT INTO catalog.work_authors
SELECT i, 1 + (i * 7) % 300, 'author' FROM generate_series(1, 900) i
UNION ALL SELECT i, 1 + (i * 7 + 3) % 300, 'translator' FROM generate_series(1, 900, 4) i;

CREATE TYPE circulation.grade AS ENUM ('new', 'good', 'worn', 'damaged');

CREATE TABLE circulation.branches (id smallint PRIMARY KEY, city text NOT NULL, square_metres numeric(7, 1));
INSERT INTO circulation.branches
SELECT i, (ARRAY['Altona', 'Bergen', 'Celle', 'Dahlem', 'Eppen', 'Fulda'])[i], 120.5 * i FROM generate_series(1, 6) i;

CREATE TABLE catalog.copies (
    id int PRIMARY KEY, work_id int NOT NULL REFERENCES catalog.works, branch smallint NOT NULL REFERENCES circulation.branches,
    acquired timestamptz NOT NULL, condition circulation.grade NOT NULL, price numeric(6, 2)
);
INSERT INTO catalog.copies
SELECT i, 1 + i % 900, 1 + i % 6, timestamptz '2021-06-01 09:00+02' + i % 200 * interval '1 day',
       (ARRAY['new', 'good', 'worn', 'damaged']::circulation.grade[])[1 + i * 7 % 4],
       CASE WHEN i % 9 > 0 THEN 5 + i % 40 + 0.99 END
FROM generate_series(1, 2400) i;

CREATE TABLE circulation.members (
    card_no bigint PRIMARY KEY, home_branch smallint REFERENCES circulation.branches, joined timestamptz NOT NULL,
    birth_year int, newsletter boolean NOT NULL, status text NOT NULL, last_visit timestamptz
);
INSERT INTO circulation.members
SELECT 100000 + i, CASE WHEN i % 13 > 0 THEN 1 + i % 6 END,
       timestamptz '2022-01-03 10:00+01' + (CASE WHEN i % 3 = 0 THEN i % 600 ELSE i % 30 END) * interval '1 day',
       CASE WHEN i % 8 > 0 THEN 1940 + i * 17 % 70 END, pg_temp.draw('newsletter', i) < 0.4, 'active', NULL
FROM generate_series(1, 700) i;

-- A member comes to the library in a week with a probability of their own, until the week in which they give it up.
-- Those who are often late give it up sooner.
CREATE TEMP TABLE habits AS
SELECT card_no, joined, 0.04 + 0.5 * power(pg_temp.draw('taste', card_no), 2) AS rate,
       power(pg_temp.draw('late', card_no), 2) AS lateness,
       20 - 60 * ln(1 - pg_temp.draw('quit', card_no)) / (0.5 + 2 * power(pg_temp.draw('late', card_no), 2)) AS weeks
FROM circulation.members;

CREATE TABLE circulation.visits (member_no bigint NOT NULL, entered timestamptz NOT NULL, branch smallint, minutes int);
INSERT INTO circulation.visits
SELECT card_no, at, CASE WHEN pg_temp.draw('where', card_no, week) < 0.9 THEN (1 + card_no % 6)::smallint END,
       (5 + 60 * pg_temp.draw('minutes', card_no, week))::int
FROM (
    SELECT card_no, rate, week, joined + week * interval '7 days'
           + (pg_temp.draw('day', card_no, week) * 6 * 24)::int * interval '1 hour' AS at
    FROM habits, generate_series(0, 125) week WHERE week < weeks
) AS weekly
WHERE at < timestamptz '2024-06-30 20:00+02' AND pg_temp.draw('comes', card_no, week) < least(0.9, rate * 1.6)
ORDER BY at, card_no;

CREATE TABLE circulation.loans (
    id int PRIMARY KEY, copy_id int NOT NULL REFERENCES catalog.copies, member_no bigint NOT NULL REFERENCES circulation.members,
    lent_at timestamptz NOT NULL, due date NOT NULL, returned_at timestamptz, renewals int NOT NULL
);
INSERT INTO circulation.loans
SELECT nr, 1 + (2400 * pg_temp.draw('copy', nr))::int % 2400, member_no, entered, (entered + interval '28 days')::date,
       CASE WHEN back < timestamptz '2024-06-30 20:00+02' THEN back END, (2.4 * pg_temp.draw('renewals', nr))::int
FROM (
    SELECT row_number() OVER (ORDER BY entered, member_no) AS nr, member_no, entered,
           entered + (5 + 20 * pg_temp.draw('kept', member_no, extract(epoch FROM entered)::bigint) + 30 * lateness)
           * interval '1 day' AS back
    FROM circulation.visits JOIN habits ON card_no = member_no
    WHERE pg_temp.draw('lends', member_no, extract(epoch FROM entered)::bigint) < 0.7
) AS lent;

CREATE TABLE circulation.fines (
    id int PRIMARY KEY, loan_id int NOT NULL REFERENCES circulation.loans, raised timestamptz NOT NULL,
    amount numeric(6, 2) NOT NULL, paid_at timestamptz
);
INSERT INTO circulation.fines
SELECT row_number() OVER (ORDER BY returned_at, id), id, returned_at,
       round(0.3 * extract(day FROM returned_at - due::timestamptz)::numeric, 2),
       CASE WHEN pg_temp.draw('paid', id) < 0.8 THEN returned_at + pg_temp.draw('paying', id) * interval '40 days' END
FROM circulation.loans WHERE returned_at > due + 1;

CREATE TABLE circulation.reservations (
    member_no bigint REFERENCES circulation.members, work_id int REFERENCES catalog.works, placed_at timestamptz NOT NULL,
    PRIMARY KEY (member_no, work_id)
);
INSERT INTO circulation.reservations
SELECT DISTINCT ON (member_no, work) member_no, work, entered
FROM (SELECT member_no, entered, 1 + (900 * pg_temp.draw('work', member_no, extract(epoch FROM entered)::bigint))::int % 900 AS work
      FROM circulation.visits
      WHERE pg_temp.draw('reserves', member_no, extract(epoch FROM entered)::bigint) < 0.15) AS wishes
ORDER BY member_no, work, entered;

-- What the library overwrites every night.
UPDATE circulation.members SET
    last_visit = (SELECT max(entered) FROM circulation.visits WHERE member_no = card_no),
    status = CASE WHEN (SELECT max(entered) FROM circulation.visits WHERE member_no = card_no) > timestamptz '2024-03-01+01'
             THEN 'active' ELSE 'lapsed' END;

CREATE VIEW circulation.overdue AS
SELECT id, member_no, due FROM circulation.loans WHERE returned_at IS NULL AND due < date '2024-06-30';
