\echo Use "CREATE EXTENSION oa_sync" to load this file. \quit

