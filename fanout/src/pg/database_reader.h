// DatabaseReader: snapshots, documents, revocations and the canary, as the Database interface asks for them.
//
// Three pools of connections of their own, so that neither large snapshots nor a revocation that waits for a lock delay
// the replays: one for documents, one connection for the short commands of the server itself, and one for what
// operators want to see. Each is connected when it is first needed. Threads as in JournalReader, whose requests these
// are.
#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "../database.h"
#include "journal_reader.h"

namespace oasync::pg {

class DatabaseReader {
 public:
  // `board` and `stats` must outlive it. Of the options, name, threads, connect_early and the counters are set here.
  DatabaseReader(const JournalReaderOptions& options, int document_threads, EpochBoard* board, PgSourceStats* stats);

  void Start();
  void Stop();
  void Expire(TimePoint now);

  void ReadSnapshot(SnapshotQuestion question, DocumentCallback done);
  void ReadDocument(const std::string& topic, std::string doc_key, DocumentCallback done);
  void ReadRevocations(RevocationsCallback done);
  void Revoke(const std::vector<Revocation>& revocations, DoneCallback done);
  void EmitCanary(DoneCallback done);
  void ReadOverview(DocumentCallback done);
  void ReadTopics(const TopicsQuestion& question, DocumentCallback done);
  void ReadEvents(const EventsQuestion& question, DocumentCallback done);
  void ReadParity(DocumentCallback done);

 private:
  JournalReader documents_;
  JournalReader commands_;
  JournalReader overview_;  // of its own: what operators see first does not wait for what they search
  JournalReader operators_;
  std::atomic<TimePoint::rep> no_overview_until_{0};  // until then only the versions are asked for
};

}  // namespace oasync::pg
