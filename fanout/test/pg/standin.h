// Stand-ins for the extension's two journal functions over a plain table, so that the journal side can be tested
// with a server that has no extension, and with states that the extension never shows.
#pragma once

#include <cstdint>
#include <string>

#include "openagents/sync/v1/sync.pb.h"
#include "test_cluster.h"

namespace oasync::pgtest {

constexpr char kStandinSchema[] = "Stand-in";

inline void InstallStandin(const TestCluster& cluster) {
  cluster.Sql(R"sql(
    CREATE SCHEMA "Stand-in";
    CREATE TABLE "Stand-in".journal (topic text, watermark bigint, update bytea, PRIMARY KEY (topic, watermark));
    CREATE TABLE "Stand-in".epochs (epoch bigint);
    INSERT INTO "Stand-in".epochs VALUES (1);
    CREATE FUNCTION "Stand-in".sync_topic_heads(topics text[])
    RETURNS TABLE (topic text, head bigint, floor bigint, epoch bigint, allocated bigint) LANGUAGE sql STABLE AS $f$
      SELECT t.topic, coalesce((SELECT max(j.watermark) FROM "Stand-in".journal j WHERE j.topic = t.topic), 0), 0::bigint,
             (SELECT max(e.epoch) FROM "Stand-in".epochs e),
             coalesce((SELECT max(j.watermark) FROM "Stand-in".journal j WHERE j.topic = t.topic), 0)
      FROM unnest(topics) WITH ORDINALITY AS t(topic, n) ORDER BY t.n
    $f$;
    CREATE FUNCTION "Stand-in".sync_replay_updates(topic text, after bigint, max_events int, max_bytes bigint)
    RETURNS TABLE (watermark bigint, update bytea) LANGUAGE plpgsql STABLE AS $f$
    DECLARE
      expected bigint := after;
      bytes bigint := 0;
      entry record;
    BEGIN
      FOR entry IN SELECT j.watermark, j.update FROM "Stand-in".journal j
                   WHERE j.topic = sync_replay_updates.topic AND j.watermark > after ORDER BY j.watermark LIMIT max_events
      LOOP
        expected := expected + 1;
        bytes := bytes + length(entry.update);
        EXIT WHEN entry.watermark <> expected OR (bytes > max_bytes AND expected > after + 1);
        watermark := entry.watermark;
        update := entry.update;
        RETURN NEXT;
      END LOOP;
    END
    $f$)sql");
}

// SQL that inserts one event.
inline std::string InsertEvent(const std::string& topic, uint64_t watermark, uint64_t epoch = 1) {
  openagents::sync::v1::Update update;
  update.set_topic(topic);
  update.set_doc_key("doc:" + std::to_string(watermark));
  update.set_doc_version(watermark);
  update.set_payload("{\"n\":" + std::to_string(watermark) + "}");
  update.set_watermark(watermark);
  update.set_payload_hash(std::string(32, '\0'));
  update.set_op(openagents::sync::v1::SYNC_OP_UPSERT);
  update.set_epoch(epoch);
  update.set_inserted_at_us(1'795'378'501'000'042);
  std::string hex;
  for (const char c : update.SerializeAsString()) {
    static constexpr char kDigits[] = "0123456789abcdef";
    hex += kDigits[static_cast<unsigned char>(c) >> 4];
    hex += kDigits[static_cast<unsigned char>(c) & 15];
  }
  return "INSERT INTO \"Stand-in\".journal VALUES ('" + topic + "', " + std::to_string(watermark) + ", '\\x" + hex +
         "');";
}

}  // namespace oasync::pgtest
