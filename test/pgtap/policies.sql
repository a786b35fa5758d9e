-- Policies: setting, resetting and dropping them, which pattern decides, and that every session hears of a change.
\ir include/setup.sql
SELECT plan(68);
-- One effective setting of a topic, and where it comes from.
CREATE FUNCTION t.policy(topic text, setting text) RETURNS text LANGUAGE sql AS $$
  SELECT format('%s from %s', to_jsonb(p) ->> $2, p.sources ->> $2) FROM runtime.sync_policy_of($1) p
$$;

-- Defaults.
SELECT is((SELECT array_agg(format('%s %s %s %s', p.pattern, p.replay_budget, p.horizon, p.qos_tier)) FROM runtime.sync_default_policies() p),
          ARRAY['runtime.codex_worker_summaries 10000 3 days warm', 'runtime.codex_worker_events 3000 1 day hot', 'runtime.notifications 500 12:00:00 cold',
                'runtime.run_summaries 20000 7 days warm', '* 10000 1 day warm'], 'the defaults');
SELECT is(to_jsonb(p), '{"horizon":"1 day","replay_budget":10000,"qos_tier":"warm","max_payload":0,"payload_mode":"inline","max_inline":0,"publish_rate":0,"snapshot_source":null,
  "sources":{"horizon":"default","replay_budget":"default","qos_tier":"default","max_payload":"default","payload_mode":"default","max_inline":"default","publish_rate":"default","snapshot_source":"default"}}',
  'any topic has one') FROM runtime.sync_policy_of('any') p;
SELECT is((SELECT format('%s %s %s', horizon, replay_budget, qos_tier) FROM runtime.sync_policy_of('runtime.notifications')), '12:00:00 500 cold', 'a named one has its own');
SELECT is((SELECT format('%s %s %s', horizon, replay_budget, qos_tier) FROM runtime.sync_policy_of('runtime.notifications2')), '1 day 10000 warm', 'which is not its neighbour''s');
SELECT is((SELECT count(*) FROM runtime.sync_topic_policies), 0::bigint, 'nothing is set by CREATE EXTENSION');

-- What is set, and only that.
SELECT lives_ok($$SELECT runtime.sync_set_policy('run:*', horizon => '2 days', replay_budget => 77)$$, 'sync_set_policy');
SELECT is(t.policy('run:1', 'horizon'), '2 days from run:*', 'decides');
SELECT is(t.policy('run:1', 'replay_budget'), '77 from run:*', 'for each setting given');
SELECT is(t.policy('run:1', 'qos_tier'), 'warm from default', 'and no other');
SELECT is(t.policy('runs', 'horizon'), '1 day from default', 'for no other topic');
SELECT runtime.sync_set_policy('run:*', qos_tier => 'hot') \g /dev/null
SELECT is(t.policy('run:1', 'horizon') || ', ' || t.policy('run:1', 'qos_tier'), '2 days from run:*, hot from run:*', 'setting more keeps the rest');
SELECT runtime.sync_set_policy('run:*', horizon => '36 hours') \g /dev/null
SELECT is(t.policy('run:1', 'horizon'), '1 day 12:00:00 from run:*', 'setting it again replaces it');

-- Which pattern decides, for each setting by itself.
SELECT runtime.sync_set_policy('*', horizon => '10 days', max_payload => 1000, snapshot_source => 'everywhere') \g /dev/null
SELECT runtime.sync_set_policy('run:*:events', horizon => '5 days') \g /dev/null
SELECT runtime.sync_set_policy('*:events', horizon => '6 days', max_inline => 10) \g /dev/null
SELECT runtime.sync_set_policy('run:7:events', publish_rate => 9, payload_mode => 'pointer') \g /dev/null
SELECT is((SELECT array_agg(t.policy('run:7:events', s) ORDER BY s) FROM unnest('{horizon,replay_budget,qos_tier,max_payload,payload_mode,max_inline,publish_rate,snapshot_source}'::text[]) s),
          ARRAY['5 days from run:*:events', '10 from *:events', '1000 from *', 'pointer from run:7:events', '9 from run:7:events', 'hot from run:*', '77 from run:*', 'everywhere from *'],
          'the most specific that states it');
SELECT is(t.policy('x:events', 'horizon'), '6 days from *:events', 'a star at the beginning');
SELECT is(t.policy('run::events', 'horizon'), '5 days from run:*:events', 'a star for nothing');
SELECT is(t.policy('runtime.run_summaries', 'horizon'), '10 days from *', 'what is set decides before a default');
SELECT is(t.policy('runtime.run_summaries', 'replay_budget'), '20000 from default', 'where it states something');
SELECT runtime.sync_set_policy('a*', qos_tier => 'cold') \g /dev/null
SELECT runtime.sync_set_policy('*a', qos_tier => 'hot') \g /dev/null
SELECT is(t.policy('aa', 'qos_tier'), 'hot from *a', 'equal ones: the lower bytes');
SELECT runtime.sync_set_policy('a', qos_tier => 'warm') \g /dev/null
SELECT is(t.policy('a', 'qos_tier'), 'warm from a', 'the topic itself before its patterns');

-- 0: no limit, for ever.
SELECT runtime.sync_set_policy('run:7*', horizon => '0', replay_budget => 0, max_payload => 0) \g /dev/null
SELECT is(t.policy('run:77', 'horizon'), '00:00:00 from run:7*', 'kept for ever');
SELECT is(t.policy('run:77', 'replay_budget'), '0 from run:7*', 'no limit');
SELECT is(t.policy('run:77', 'max_payload'), '0 from run:7*', 'no limit where another pattern has one');

-- Taking back.
SELECT is(runtime.sync_reset_policy('run:7*', 'horizon', 'max_payload'), true, 'sync_reset_policy');
SELECT is(t.policy('run:77', 'horizon') || ', ' || t.policy('run:77', 'replay_budget'), '1 day 12:00:00 from run:*, 0 from run:7*', 'takes back what is named');
SELECT is(runtime.sync_reset_policy('run:7*', 'horizon'), false, 'false when it was not set');
SELECT is(runtime.sync_reset_policy('nobody', 'horizon'), false, 'nor the pattern');
SELECT is(runtime.sync_reset_policy('run:7*', 'replay_budget'), true, 'the last one');
SELECT is((SELECT count(*) FROM runtime.sync_topic_policies WHERE pattern = 'run:7*'), 0::bigint, 'takes the row with it');
SELECT is(runtime.sync_drop_policy('run:*'), true, 'sync_drop_policy');
SELECT is(runtime.sync_drop_policy('run:*'), false, 'once');
SELECT is(t.policy('run:77', 'replay_budget'), '10000 from default', 'and the defaults are back');

-- The view.
SELECT is((SELECT array_agg(pattern || ' ' || source ORDER BY source DESC, pattern) FROM runtime.sync_policies),
          ARRAY['* set', '*:events set', '*a set', 'a set', 'a* set', 'run:*:events set', 'run:7:events set',
                '* default', 'runtime.codex_worker_events default', 'runtime.codex_worker_summaries default', 'runtime.notifications default', 'runtime.run_summaries default'], 'sync_policies');
SELECT is((SELECT to_jsonb(p) - 'updated_at' FROM runtime.sync_policies p WHERE pattern = 'run:*:events'),
          '{"pattern":"run:*:events","horizon":"5 days","replay_budget":null,"qos_tier":null,"max_payload":null,"payload_mode":null,"max_inline":null,"publish_rate":null,"snapshot_source":null,"source":"set"}', 'null is not stated');
SELECT is((SELECT to_jsonb(p) FROM runtime.sync_policies p WHERE pattern = 'runtime.notifications'),
          '{"pattern":"runtime.notifications","horizon":"12:00:00","replay_budget":500,"qos_tier":"cold","max_payload":null,"payload_mode":null,"max_inline":null,"publish_rate":null,"snapshot_source":null,"source":"default","updated_at":null}', 'in defaults too');

-- Errors.
SELECT throws_ok(format('SELECT runtime.sync_set_policy(%s)', args), state, message, args) FROM (VALUES
  ('NULL, horizon => ''1 day''', '22004', 'pattern must not be null'),
  ('''a b'', horizon => ''1 day''', '22023', 'invalid pattern "a b"'),
  ('''a**'', horizon => ''1 day''', '22023', 'invalid pattern "a**"'),
  (''''', horizon => ''1 day''', '22023', 'invalid pattern ""'),
  ('repeat(''a'', 161), horizon => ''1 day''', '22023', format('invalid pattern "%s"', repeat('a', 161))),
  ('''a''', '22023', 'nothing to set for pattern "a"'),
  ('''a'', horizon => ''-1 day''', '22023', 'horizon has to be from 1 second to 1000 years, or 0 to keep events for ever'),
  ('''a'', horizon => ''10 ms''', '22023', 'horizon has to be from 1 second to 1000 years, or 0 to keep events for ever'),
  ('''a'', horizon => ''1001 years''', '22023', 'horizon has to be from 1 second to 1000 years, or 0 to keep events for ever'),
  ('''a'', replay_budget => -1', '22023', 'replay_budget has to be positive, or 0 for no limit'),
  ('''a'', qos_tier => ''lukewarm''', '22023', 'qos_tier has to be hot, warm or cold'),
  ('''a'', max_payload => -1', '22023', 'max_payload has to be positive, or 0 for no limit'),
  ('''a'', payload_mode => ''both''', '22023', 'payload_mode has to be inline or pointer'),
  ('''a'', max_inline => -1', '22023', 'max_inline has to be positive, or 0 for no limit'),
  ('''a'', publish_rate => -1', '22023', 'publish_rate has to be positive, or 0 for no limit'),
  ('''a'', snapshot_source => ''''', '22023', 'snapshot_source has to name something')) e(args, state, message);
SELECT throws_ok($$SELECT runtime.sync_reset_policy('a', 'horizon', 'colour')$$, '22023', 'unknown setting "colour"', 'an unknown setting');
SELECT throws_ok($$SELECT runtime.sync_reset_policy('a', NULL)$$, '22004', NULL, 'a null setting');
SELECT throws_ok($$SELECT runtime.sync_policy_of('a b')$$, '22023', 'invalid topic "a b"', 'an invalid topic');
SELECT throws_ok(format('INSERT INTO runtime.sync_topic_policies (pattern, %s) VALUES (%s)', split_part(c, '=', 1), split_part(c, '=', 2)), '23514', NULL, 'by hand: ' || c)
  FROM unnest(ARRAY['horizon=''x'',''-1 day''', 'replay_budget=''x'',-1', 'qos_tier=''x'',''HOT''', 'payload_mode=''x'',''none''', 'publish_rate=''x'',-5', 'max_inline=''a**b'',1']) c;

-- Another session hears of every change: by function, by hand, by COPY, TRUNCATE, in its own open transaction.
SELECT dblink_connect('other', t.conn()) \g /dev/null
CREATE FUNCTION t.there(topic text DEFAULT 'heard') RETURNS text LANGUAGE sql AS
  $$ SELECT answer FROM public.dblink('other', format('SELECT replay_budget::text FROM runtime.sync_policy_of(%L)', $1)) d(answer text) $$;
SELECT is(t.there(), '10000', 'another session has the default');
SELECT runtime.sync_set_policy('heard', replay_budget => 1) \g /dev/null
SELECT is(t.there(), '1', 'hears sync_set_policy');
SET session_replication_role = replica;
UPDATE runtime.sync_topic_policies SET replay_budget = 2 WHERE pattern = 'heard';
RESET session_replication_role;
SELECT is(t.there(), '2', 'an UPDATE by hand, also as a replica');
BEGIN; UPDATE runtime.sync_topic_policies SET replay_budget = 3 WHERE pattern = 'heard';
SELECT is(t.there() || t.policy('heard', 'replay_budget'), '23 from heard', 'not before it commits, but at once in its own session');
SAVEPOINT a; UPDATE runtime.sync_topic_policies SET replay_budget = 4 WHERE pattern = 'heard';
SELECT is(t.policy('heard', 'replay_budget'), '4 from heard', 'in a savepoint'); ROLLBACK TO a;
SELECT is(t.policy('heard', 'replay_budget'), '3 from heard', 'and back'); ROLLBACK;
SELECT is(t.policy('heard', 'replay_budget'), '2 from heard', 'and after ROLLBACK');
COPY runtime.sync_topic_policies (pattern, replay_budget) FROM PROGRAM 'printf "hea*\t5\n"';
SELECT is(t.there('heap'), '5', 'COPY');
TRUNCATE runtime.sync_topic_policies;
SELECT is(t.there(), '10000', 'TRUNCATE');
SELECT dblink_disconnect('other') \g /dev/null
SELECT * FROM finish();
