#include "event_log.h"

extern "C" {
#include "commands/tablespace.h"
#include "common/hashfn.h"
#include "storage/buffile.h"
#include "utils/hsearch.h"
#include "utils/resowner.h"
}

#include "append_progress.h"
#include "bytes.h"
#include "settings.h"
#include "text_template.h"
#include "traceparent.h"

namespace oasync {
namespace {

// Where the log stood when a subtransaction began.
struct SubLog {
  SubTransactionId sub;
  uint64 offset;
  uint64 events;
};

struct TopicSlot {
  char name[kMaxTopicBytes];  // the hash key, zero padded
  int32 index;
};

struct Log {
  MemoryContext context;  // child of TopMemoryContext, so that an abort finds it whole
  Bytes memory;           // the end of the log
  BufFile* file;          // the beginning of it, file_size bytes
  uint64 file_size;
  uint64 spilled;
  HTAB* by_name;
  LoggedTopic* topics;
  uint64 events;
  int topic_count;
  int topic_cap;
  bool recount;  // a subtransaction was cut off, counts of topics are too high
  int last_topic;
  SubLog* subs;
  int sub_count;
  int sub_cap;
  bool traced;       // an event was logged with a trace
  bool trace_known;  // `trace` is that of the last event with kOwn that the log still has
  char trace[kTraceparentBytes];
  // Reading.
  uint64 read_at;
  Bytes record;
};

Log the_log;

void OpenLog() {
  if (the_log.context != nullptr) return;
  the_log.context = AllocSetContextCreate(TopMemoryContext, "oa_sync event log", ALLOCSET_DEFAULT_SIZES);
}

uint64 LogSize() { return the_log.file_size + the_log.memory.len; }

int AddTopic(std::string_view name) {
  if (the_log.topic_count == the_log.topic_cap) {
    const int cap = the_log.topic_cap == 0 ? 8 : the_log.topic_cap * 2;
    the_log.topics =
        static_cast<LoggedTopic*>(Reallocate(the_log.topics, sizeof(LoggedTopic) * static_cast<Size>(cap)));
    the_log.topic_cap = cap;
  }
  const Size size = VARHDRSZ + name.size();
  auto* text = static_cast<char*>(palloc(size));
  SET_VARSIZE(text, size);
  memcpy(VARDATA(text), name.data(), name.size());
  the_log.topics[the_log.topic_count] = {{VARDATA(text), name.size()}, PointerGetDatum(text), 0, 0, -1};
  return the_log.topic_count++;
}

// The index of a topic, added when it is new. REQUIRES the log's context.
int TopicIndex(std::string_view name) {
  if (the_log.topic_count > 0 && the_log.topics[the_log.last_topic].name == name) return the_log.last_topic;
  if (the_log.by_name == nullptr) {
    // Most transactions write to a few topics: a scan beats a hash table.
    for (int i = 0; i < the_log.topic_count; ++i) {
      if (the_log.topics[i].name == name) return the_log.last_topic = i;
    }
    if (the_log.topic_count < 8) return the_log.last_topic = AddTopic(name);
    HASHCTL control = {};
    control.keysize = kMaxTopicBytes;
    control.entrysize = sizeof(TopicSlot);
    control.hcxt = the_log.context;
    the_log.by_name = hash_create("oa_sync topics", 256, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
    for (int i = 0; i < the_log.topic_count; ++i) {
      char key[kMaxTopicBytes] = {};
      memcpy(key, the_log.topics[i].name.data(), the_log.topics[i].name.size());
      static_cast<TopicSlot*>(hash_search(the_log.by_name, key, HASH_ENTER, nullptr))->index = i;
    }
  }
  char key[kMaxTopicBytes] = {};
  memcpy(key, name.data(), name.size());
  bool found = false;
  auto* slot = static_cast<TopicSlot*>(hash_search(the_log.by_name, key, HASH_ENTER, &found));
  if (!found) {
    slot->index = -1;
    slot->index = AddTopic(name);
  }
  return the_log.last_topic = slot->index;
}

// Moves what is in memory to the end of the file.
void Spill() {
  if (the_log.file == nullptr) {
    // The file has to outlive the subtransaction that happens to be open.
    PrepareTempTablespaces();
    ResourceOwner owner = CurrentResourceOwner;
    CurrentResourceOwner = TopTransactionResourceOwner;
    the_log.file = BufFileCreateTemp(false);
    CurrentResourceOwner = owner;
  }
  if (BufFileSeek(the_log.file, 0, static_cast<off_t>(the_log.file_size), SEEK_SET) != 0) {
    ereport(ERROR, (errcode_for_file_access(), errmsg("could not seek in the temporary file of captured events: %m")));
  }
  BufFileWrite(the_log.file, the_log.memory.data, the_log.memory.len);
  the_log.file_size += the_log.memory.len;
  the_log.spilled += the_log.memory.len;
  the_log.memory.Clear();
}

void ReadFile(void* to, size_t size) {
#if PG_VERSION_NUM >= 160000
  BufFileReadExact(the_log.file, to, size);
#else
  if (BufFileRead(the_log.file, to, size) != size) {
    ereport(ERROR, (errcode_for_file_access(), errmsg("could not read the temporary file of captured events: %m")));
  }
#endif
}

void ReportCapture() {
  ReportProgress({AppendPhase::kCapture, the_log.topic_count, the_log.events, 0, the_log.spilled});
}

uint32 AppendVarlena(char* base, uint32 at, const void* from, size_t size) {
  char* to = base + at;
  SET_VARSIZE(to, VARHDRSZ + size);
  memcpy(VARDATA(to), from, size);
  return static_cast<uint32>(MAXALIGN(at + VARHDRSZ + size));
}

// How the traceparent in force is to be logged.
LoggedTrace TraceNow() {
  if (likely(traceparent[0] == '\0')) return LoggedTrace::kNone;
  return the_log.trace_known && memcmp(the_log.trace, traceparent, kTraceparentBytes) == 0 ? LoggedTrace::kSame
                                                                                           : LoggedTrace::kOwn;
}

void NoteTrace() {
  memcpy(the_log.trace, traceparent, kTraceparentBytes);
  the_log.trace_known = true;
  the_log.traced = true;
}

}  // namespace

void LogEvent(const EventParts& parts) {
  OpenLog();
  const ContextSwitch in(the_log.context);
  const size_t payload_size = parts.payload == nullptr ? 0 : MAXALIGN(VARHDRSZ + parts.payload->size());
  const LoggedTrace trace = TraceNow();
  const size_t trace_size = trace == LoggedTrace::kOwn ? MAXALIGN(VARHDRSZ + kTraceparentBytes) : 0;
  const size_t size = MAXALIGN(sizeof(LoggedEvent)) + MAXALIGN(VARHDRSZ + 32) + trace_size +
                      MAXALIGN(VARHDRSZ + parts.doc_key.size()) + payload_size;
  if (the_log.memory.len > 0 && the_log.memory.len + size > static_cast<size_t>(work_mem) * 1024) Spill();
  const int topic = TopicIndex(parts.topic);
  the_log.memory.Reserve(size);
  char* base = the_log.memory.data + the_log.memory.len;
  auto* event = reinterpret_cast<LoggedEvent*>(base);
  *event = {};
  event->size = static_cast<uint32>(size);
  event->topic = static_cast<uint32>(topic);
  event->doc_version = parts.doc_version;
  event->op = parts.op;
  event->trace = trace;
  event->payload_hash = MAXALIGN(sizeof(LoggedEvent));
  event->doc_key = AppendVarlena(base, event->payload_hash, parts.payload_hash, 32);
  if (unlikely(trace == LoggedTrace::kOwn)) {
    event->doc_key = AppendVarlena(base, event->doc_key, traceparent, kTraceparentBytes);
    NoteTrace();
  }
  const uint32 after_key = AppendVarlena(base, event->doc_key, parts.doc_key.data(), parts.doc_key.size());
  if (parts.payload != nullptr) {
    event->payload = after_key;
    AppendVarlena(base, after_key, parts.payload->data(), parts.payload->size());
  }
  the_log.memory.len += size;
  ++the_log.topics[topic].count;
  if (unlikely((++the_log.events & 0x3ff) == 0 && the_log.events >= kProgressFrom)) {
    ReportCapture();
  }
  in.Back();
}

bool LogIsEmpty() { return LogSize() == 0; }
bool LogHasTraces() { return the_log.traced; }

LoggedTopic* CountTopics(int* topic_count) {
  if (the_log.recount) {
    for (int i = 0; i < the_log.topic_count; ++i) the_log.topics[i].count = 0;
    uint64 visited = 0;
    RewindLog();
    bool stays = false;
    while (const LoggedEvent* event = NextEvent(&stays)) {
      ++the_log.topics[event->topic].count;
      if ((++visited & 0x3ff) == 0) CHECK_FOR_INTERRUPTS();
    }
    the_log.recount = false;
  }
  *topic_count = the_log.topic_count;
  return the_log.topics;
}

void RewindLog() {
  the_log.read_at = 0;
  if (the_log.file != nullptr && BufFileSeek(the_log.file, 0, 0, SEEK_SET) != 0) {
    ereport(ERROR, (errcode_for_file_access(), errmsg("could not seek in the temporary file of captured events: %m")));
  }
}

const LoggedEvent* NextEvent(bool* stays) {
  const LoggedEvent* event = nullptr;
  if (the_log.read_at < the_log.file_size) {
    const ContextSwitch in(the_log.context);
    uint32 size = 0;
    ReadFile(&size, sizeof(size));
    the_log.record.Clear();
    the_log.record.Reserve(size);
    memcpy(the_log.record.data, &size, sizeof(size));
    ReadFile(the_log.record.data + sizeof(size), size - sizeof(size));
    in.Back();
    event = reinterpret_cast<const LoggedEvent*>(the_log.record.data);
    *stays = false;
  } else if (the_log.read_at < LogSize()) {
    event = reinterpret_cast<const LoggedEvent*>(the_log.memory.data + (the_log.read_at - the_log.file_size));
    *stays = true;
  }
  if (event != nullptr) the_log.read_at += event->size;
  return event;
}

uint64 SpilledBytes() { return the_log.spilled; }
uint64 LoggedBytes() { return LogSize(); }
uint64 LoggedEvents() { return the_log.events; }

void BeginSubLog(SubTransactionId sub) {
  // Nothing logged yet: cutting back to nothing needs no note.
  if (the_log.context == nullptr || LogSize() == 0) return;
  const ContextSwitch in(the_log.context);
  if (the_log.sub_count == the_log.sub_cap) {
    const int cap = the_log.sub_cap == 0 ? 16 : the_log.sub_cap * 2;
    the_log.subs = static_cast<SubLog*>(Reallocate(the_log.subs, sizeof(SubLog) * static_cast<Size>(cap)));
    the_log.sub_cap = cap;
  }
  the_log.subs[the_log.sub_count++] = {sub, LogSize(), the_log.events};
  in.Back();
}

void CommitSubLog(SubTransactionId sub) {
  while (the_log.sub_count > 0 && the_log.subs[the_log.sub_count - 1].sub >= sub) --the_log.sub_count;
}

void AbortSubLog(SubTransactionId sub) {
  if (the_log.context == nullptr) return;
  uint64 keep = 0;
  uint64 keep_events = 0;
  while (the_log.sub_count > 0 && the_log.subs[the_log.sub_count - 1].sub >= sub) {
    const SubLog& began = the_log.subs[--the_log.sub_count];
    keep = began.offset;
    keep_events = began.events;
  }
  if (keep == LogSize()) return;
  the_log.recount = true;
  the_log.trace_known = false;  // what it was the same as may be cut off
  const bool was_large = the_log.events >= kProgressFrom;
  the_log.events = keep_events;
  if (was_large) ReportCapture();
  if (keep >= the_log.file_size) {
    the_log.memory.len = keep - the_log.file_size;
  } else {
    the_log.file_size = keep;
    the_log.memory.Clear();
  }
}

void DropLog(bool closing) {
  if (the_log.context == nullptr || the_log.topic_count == 0) return;
  if (closing && the_log.file != nullptr) BufFileClose(the_log.file);
  // The context is kept: making one costs more than a small transaction's log.
  MemoryContext context = the_log.context;
  MemoryContextReset(context);
  the_log = Log{};
  the_log.context = context;
}

}  // namespace oasync
