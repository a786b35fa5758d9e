\echo Use "ALTER EXTENSION oa_sync UPDATE" to load this file. \quit

-- What changes of 0.4.0. What 0.5.0 adds in parts of its own follows: see extension/Makefile.
