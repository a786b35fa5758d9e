-- Loads the library first, which says what is missing when it is not in shared_preload_libraries.
CREATE FUNCTION @extschema@.oa_sync_install() RETURNS void
  LANGUAGE c AS 'MODULE_PATHNAME', 'oa_sync_install';

