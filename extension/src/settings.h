// Settings: every limit of the extension, with its safe default. docs/operations/settings.md lists them.
//
// Read-only for everybody but PostgreSQL's configuration machinery. Of traceparent, a value is valid or empty.
#pragma once

namespace oasync {

extern int max_hot_topics;             // topics whose heads are in shared memory at once (postmaster)
extern int max_rate_limited_topics;    // topics whose publish rate is counted at once (postmaster)
extern int max_databases;              // databases that may have the extension (postmaster)
extern int void_queue_size;            // failed ranges that wait for the worker (postmaster)
extern int checkpoint_interval_s;      // how often the worker persists heads (sighup)
extern int partition_interval_h;       // how much time one journal partition holds, in hours (sighup)
extern int partitions_ahead;           // partitions made ahead of time (sighup)
extern int naptime_ms;                 // the worker's longest sleep (sighup)
extern int database_check_interval_s;  // how often the launcher looks for databases (sighup)
extern int epoch_wait_ms;              // how long a commit waits for the worker to open a new epoch (sighup)
extern int retention_interval_s;       // how often retention works, 0 never (sighup)
extern int retention_topics;           // topics whose floors are looked at in one cycle (sighup)
extern int log_retention;              // a LogRetention (sighup)
extern int max_payload_kb;             // largest payload of one event (user-settable by superuser)
extern char* traceparent;              // the trace that events captured now belong to, empty for none (user)

enum LogRetention { kLogNone, kLogChanges, kLogAll };

// Defines the settings. Called once, from _PG_init.
void DefineSettings();

}  // namespace oasync
