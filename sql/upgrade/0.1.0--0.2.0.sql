\echo Use "ALTER EXTENSION oa_sync UPDATE" to load this file. \quit

-- What changes of 0.1.0. What 0.2.0 adds follows: parts 5x to 8x, see extension/Makefile.
-- Columns are added where they are in 0.2.0's own script as far as ALTER TABLE can: at the end.

ALTER TABLE @extschema@.sync_topic_sequences ADD COLUMN floor_epoch bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN @extschema@.sync_topic_sequences.topic IS 'The topic';
COMMENT ON COLUMN @extschema@.sync_topic_sequences.floor_epoch IS 'The epoch of the event at the floor: a cursor there is of this history if its epoch is not older. 0 while the floor is 0';
COMMENT ON COLUMN @extschema@.sync_topic_sequences.updated_at IS 'When the worker last wrote the row';
