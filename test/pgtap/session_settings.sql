-- The same row gives the same bytes whatever the session's settings; and the settings stay as they were.
\ir include/setup.sql
SELECT plan(28);
CREATE TYPE app.mood AS ENUM ('sad', 'happy');
CREATE TYPE app.pair AS (at timestamptz, i interval, f float8);
CREATE TABLE app.docs (k int PRIMARY KEY, at timestamptz, local timestamp, d date, i interval, tz timetz, f4 real, f8 float8, bin bytea, m money, n numeric,
  r tstzrange, c app.pair, rel regclass, arr timestamptz[], ivs interval[], x xml, e app.mood, lines line);
SELECT runtime.sync_publish('app.docs', topic => 'docs:{k}', doc_key => '{k}/{at}/{i}/{d}/{bin}/{f8}/{rel}', payload => '*') \g /dev/null
CREATE TABLE t.settings (n serial, commands text);
INSERT INTO t.settings (commands) VALUES
  ('SELECT 1'), ('SET datestyle = ''German, DMY'''), ('SET datestyle = ''SQL, MDY'''), ('SET datestyle = ''Postgres'''), ('SET intervalstyle = ''iso_8601'''),
  ('SET intervalstyle = ''sql_standard'''), ('SET intervalstyle = ''postgres_verbose'''), ('SET timezone = ''Asia/Kathmandu'''), ('SET timezone = ''America/New_York'''),
  ('SET extra_float_digits = -15'), ('SET extra_float_digits = 0'), ('SET extra_float_digits = 3'), ('SET bytea_output = ''escape'''), ('SET search_path = app'), ('SET search_path = '''''),
  ('SET xmloption = document'), ('SET xmlbinary = hex'), ('SET client_encoding = ''LATIN1'''), ('SET lc_numeric = ''C.UTF-8'''), ('SET lc_time = ''C.UTF-8'''),
  ('SET standard_conforming_strings = off'), ('SET array_nulls = off; SET quote_all_identifiers = on'), ('SET row_security = off; SET timezone_abbreviations = ''India''');
CREATE FUNCTION t.insert(k int) RETURNS text LANGUAGE sql AS $$
  SELECT format('INSERT INTO app.docs SELECT %s, ''2026-07-01 12:30:00.5+00'', ''2026-07-01 12:30'', ''2026-03-04'', make_interval(1, 2, 0, 3, 4, 5, 6.5), ''12:00:00+05:30'', 1.1, 0.1, ''bytes''::bytea, 1234.5, 1.10, '
    'tstzrange(''2026-07-01 00:00+00'', ''2026-07-02 00:00+00''), ROW(''2026-07-01 00:00+00''::timestamptz, make_interval(days => 2), 0.1)::app.pair, ''app.docs''::regclass, ARRAY[''2026-07-01 00:00+00''::timestamptz], ARRAY[make_interval(days => -2)], xmlparse(content ''<a/>''), ''happy''::app.mood, ''{1.1,2,3}''', $1)
$$;
-- Published rows are written after the settings are changed, in a session of their own.
SELECT t.run('BEGIN; SET LOCAL client_min_messages = error; ' || replace(commands, 'SET ', 'SET LOCAL ') || '; SET LOCAL standard_conforming_strings = on; '
             || t.insert(n) || '; COMMIT') FROM t.settings WHERE commands NOT LIKE '%LATIN1%' ORDER BY n \g /dev/null
SELECT t.run('BEGIN; SET LOCAL client_encoding = ''LATIN1''; ' || t.insert(n) || '; COMMIT') FROM t.settings WHERE commands LIKE '%LATIN1%' \g /dev/null
SELECT is((SELECT payload::text FROM runtime.sync_replay('docs:1', 0)),
  '{"arr":["2026-07-01T00:00:00+00:00"],"at":"2026-07-01T12:30:00.5+00:00","bin":"\\x6279746573","c":{"at":"2026-07-01T00:00:00+00:00","f":0.1,"i":"2 days"},"d":"2026-03-04","e":"happy","f4":1.1,"f8":0.1,'
  '"i":"1 year 2 mons 3 days 04:05:06.5","ivs":["-2 days"],"k":1,"lines":"{1.1,2,3}","local":"2026-07-01T12:30:00","m":"$1,234.50","n":1.10,"r":"[\"2026-07-01 00:00:00+00\",\"2026-07-02 00:00:00+00\")",'
  '"rel":"app.docs","tz":"12:00:00+05:30","x":"<a/>"}', 'the payload under the default settings');
SELECT is((SELECT doc_key FROM runtime.sync_replay('docs:1', 0)), '1/2026-07-01T12:30:00.5+00:00/1 year 2 mons 3 days 04:05:06.5/2026-03-04/\x6279746573/0.1/app.docs', 'the key under the default settings');
SELECT is((SELECT regexp_replace(doc_key, '^\d+', '1') || replace(payload::text, format('"k":%s,', s.n), '"k":1,') FROM runtime.sync_replay('docs:' || s.n, 0)),
          (SELECT doc_key || payload::text FROM runtime.sync_replay('docs:1', 0)), s.commands) FROM t.settings s WHERE n > 1 ORDER BY n;
SET datestyle = 'German'; SET intervalstyle = 'iso_8601'; SET timezone = 'Asia/Tokyo'; SET search_path = app, public; SET extra_float_digits = -3;
INSERT INTO app.docs (k, at, i, d, bin, f8, rel, r) VALUES (100, now(), '1 day', now(), '', 0.1, 'app.docs', '(,)');
SELECT is(format('%s %s %s %s %s', current_setting('datestyle'), current_setting('intervalstyle'), current_setting('timezone'), current_setting('search_path'), current_setting('extra_float_digits')),
          'German, DMY iso_8601 Asia/Tokyo app, public -3', 'the session keeps its settings');
SELECT throws_ok($$INSERT INTO app.docs (k, at, i, d, bin, f8, rel) VALUES (101, now(), '1 day', NULL, '', 0.1, 'app.docs')$$, '22004', NULL, 'a capture that fails');
SELECT is(format('%s %s %s %s %s', current_setting('datestyle'), current_setting('intervalstyle'), current_setting('timezone'), current_setting('search_path'), current_setting('extra_float_digits')),
          'German, DMY iso_8601 Asia/Tokyo app, public -3', 'leaves the settings too');
RESET ALL;
SELECT is((SELECT array_agg(p) FROM t.journal_problems() p), NULL, 'the journal is sound');
SELECT * FROM finish();
