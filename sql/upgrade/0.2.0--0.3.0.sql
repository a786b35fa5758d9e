\echo Use "ALTER EXTENSION oa_sync UPDATE" to load this file. \quit

-- What changes of 0.2.0. What 0.3.0 adds in parts of its own follows: see extension/Makefile.

COMMENT ON COLUMN @extschema@.sync_epochs.reason IS 'Why it was opened. "being restored": by the CREATE EXTENSION of a dump that is not loaded yet';
