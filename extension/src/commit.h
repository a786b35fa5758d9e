// Commit: what happens between the application's COMMIT and PostgreSQL's.
//
// At PRE_COMMIT, after every deferred constraint and trigger: pin the topics, allocate a range of each, append the
// logged events to the journal. From there on PostgreSQL commits row and event together or not at all. When the
// transaction ends, topics are released, and ranges of a failed one are queued as voids.
#pragma once

namespace oasync {

// Registers the transaction callbacks. Called once, from _PG_init; children of the postmaster inherit them.
void InstallCommit();

// ERROR when the transaction is past the point where events can be captured. Called by capture.
void CheckMayCapture();

}  // namespace oasync
