-- The extension in its default schema, and the helpers.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS oa_sync CASCADE;
DROP SCHEMA IF EXISTS runtime CASCADE;
CREATE EXTENSION oa_sync;
\ir helpers.sql
