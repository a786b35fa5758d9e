#include "pg.h"

extern "C" {
#include "utils/guc.h"
}

#include "settings.h"
#include "traceparent.h"

namespace oasync {

int max_hot_topics = 65536;
int max_rate_limited_topics = 8192;
int max_databases = 64;
int void_queue_size = 8192;
int checkpoint_interval_s = 10;
int partition_interval_h = 24;
int partitions_ahead = 3;
int naptime_ms = 1000;
int database_check_interval_s = 60;
int epoch_wait_ms = 10000;
int retention_interval_s = 60;
int retention_topics = 10000;
int log_retention = kLogAll;
int max_payload_kb = 16384;
char* traceparent = nullptr;

namespace {

const config_enum_entry log_retention_values[] = {
    {"all", kLogAll, false}, {"changes", kLogChanges, false}, {"none", kLogNone, false}, {nullptr, 0, false}};

// The variable's initial value is the default, so that it is stated once.
void DefineInt(const char* name, int* variable, int min, int max, GucContext context, int flags, const char* what,
               const char* more) {
  DefineCustomIntVariable(name, what, more, variable, *variable, min, max, context, flags, nullptr, nullptr, nullptr);
}

bool CheckTraceparent(char** value, void**, GucSource) {
  if (**value == '\0' || IsTraceparent(*value)) return true;
  GUC_check_errdetail(
      "A traceparent has the form 00-<32 hex digits>-<16 hex digits>-<2 hex digits>, in lower case, with "
      "neither id all zeros: W3C Trace Context, level 1.");
  GUC_check_errhint("Set it to an empty string for none.");
  return false;
}

}  // namespace

void DefineSettings() {
  DefineInt("oa_sync.max_hot_topics", &max_hot_topics, 1024, 16 * 1024 * 1024, PGC_POSTMASTER, 0,
            "Topics whose heads are kept in shared memory at once.",
            "Idle topics make room for others; a topic takes about 300 bytes. A single transaction can't write to "
            "more topics than this.");
  DefineInt("oa_sync.max_rate_limited_topics", &max_rate_limited_topics, 64, 16 * 1024 * 1024, PGC_POSTMASTER, 0,
            "Topics whose publish rate is counted at once.",
            "A topic takes about 20 bytes, and only while it was written to within the last second.");
  DefineInt("oa_sync.max_databases", &max_databases, 1, 10000, PGC_POSTMASTER, 0,
            "Databases of this cluster that may have the extension.", nullptr);
  DefineInt("oa_sync.void_queue_size", &void_queue_size, 16, 1024 * 1024, PGC_POSTMASTER, 0,
            "Failed ranges of watermarks that wait in shared memory for the worker.",
            "When it is full, the worker looks for the holes in the journal instead.");
  DefineInt("oa_sync.checkpoint_interval", &checkpoint_interval_s, 1, 3600, PGC_SIGHUP, GUC_UNIT_S,
            "How often the worker persists the heads of topics.", nullptr);
  DefineInt("oa_sync.partition_interval", &partition_interval_h, 1, 24 * 366, PGC_SIGHUP, 0,
            "How many hours of events one partition of the journal holds.", "Applies to partitions made from now on.");
  DefineInt("oa_sync.partitions_ahead", &partitions_ahead, 1, 100, PGC_SIGHUP, 0,
            "How many partitions of the journal are made ahead of time.", nullptr);
  DefineInt("oa_sync.naptime", &naptime_ms, 10, 60000, PGC_SIGHUP, GUC_UNIT_MS,
            "The longest time the worker sleeps between two looks.", "It is woken at once when a commit fails.");
  DefineInt("oa_sync.database_check_interval", &database_check_interval_s, 1, 3600, PGC_SIGHUP, GUC_UNIT_S,
            "How often the launcher looks for databases with the extension.",
            "It is woken at once by CREATE EXTENSION.");
  DefineInt("oa_sync.epoch_wait", &epoch_wait_ms, 0, 600000, PGC_SIGHUP, GUC_UNIT_MS,
            "How long a commit waits for the worker to open a new epoch after promotion or restore.", nullptr);
  DefineInt("oa_sync.retention_interval", &retention_interval_s, 0, 86400, PGC_SIGHUP, GUC_UNIT_S,
            "How often what is older than its topic's horizon leaves the journal.", "0 turns retention off.");
  DefineInt("oa_sync.retention_topics", &retention_topics, 100, 10 * 1000 * 1000, PGC_SIGHUP, 0,
            "How many topics' floors are looked at in one cycle of retention.",
            "With more topics, the next cycle goes on where the last one stopped.");
  DefineCustomEnumVariable("oa_sync.log_retention", "Which cycles of retention write a line to the server's log.",
                           nullptr, &log_retention, log_retention, log_retention_values, PGC_SIGHUP, 0, nullptr,
                           nullptr, nullptr);
  DefineInt("oa_sync.max_payload", &max_payload_kb, 1, 1024 * 1000, PGC_SUSET, GUC_UNIT_KB,
            "Largest payload of one event; a larger one fails its statement.", nullptr);
  DefineCustomStringVariable("oa_sync.traceparent", "The trace that the events of this session belong to, if any.",
                             "A W3C traceparent. The value in force when a row is written goes with its event to every "
                             "subscriber.",
                             &traceparent, "", PGC_USERSET, 0, CheckTraceparent, nullptr, nullptr);
  MarkGUCPrefixReserved("oa_sync");
}

}  // namespace oasync
