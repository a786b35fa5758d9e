-- Rights: nothing for PUBLIC. Applications need none to write their own tables.

REVOKE ALL ON FUNCTION
  @extschema@.oa_sync_capture_row(), @extschema@.oa_sync_capture_truncate(),
  @extschema@.oa_sync_check_publication(regclass, integer),
  @extschema@.sync_emit(text, text, bigint, json),
  @extschema@.sync_publish(regclass, text, text, text, text, boolean, boolean),
  @extschema@.sync_unpublish(regclass),
  @extschema@.sync_replay(text, bigint, integer, bigint), @extschema@.sync_replay_updates(text, bigint, integer, bigint),
  @extschema@.sync_topic_heads(text[]), @extschema@.sync_current_epoch(), @extschema@.sync_topic_states(),
  @extschema@.sync_statistics(), @extschema@.sync_maintain_partitions()
  FROM PUBLIC;

SELECT @extschema@.oa_sync_install();
DROP FUNCTION @extschema@.oa_sync_install();
