#include "parity_audit.h"

#include <poll.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <random>

#include "base/clock.h"
#include "stop.h"

namespace oasync::terminal {
namespace {

// What differs within OA Sync belongs to one snapshot; it is looked at once more all the same.
constexpr int64_t kConfirmAfterMs = 200;
constexpr int kAttempts = 3;
// So many probes in a row that nobody answers, each after a time-out at worst: the rest is not tried.
constexpr int kProbesInVain = 5;
constexpr char kSerializationFailure[] = "40001";

int64_t NowMs() { return SystemClock().SteadyMs(); }

std::optional<int64_t> Integer(const std::optional<std::string>& text) {
  int64_t number = 0;
  if (!text || std::from_chars(text->data(), text->data() + text->size(), number).ec != std::errc()) {
    return std::nullopt;
  }
  return number;
}

// Tables that are rewritten just now answer 40001: asked again.
DatabaseResult Ask(Database& db, const std::string& sql, const std::vector<std::string>& parameters) {
  DatabaseResult result = db.Query(sql, parameters);
  for (int i = 1; i < kAttempts && result.sqlstate == kSerializationFailure; ++i) result = db.Query(sql, parameters);
  return result;
}

std::string VersionsArray(const std::vector<int64_t>& versions) {
  std::string text = "{";
  for (const int64_t version : versions) text += (text.size() > 1 ? "," : "") + std::to_string(version);
  return text + "}";
}

nlohmann::json OrNull(const std::optional<int64_t>& number) {
  return number ? nlohmann::json(*number) : nlohmann::json();
}
nlohmann::json OrNull(const std::string& text) { return text.empty() ? nlohmann::json() : nlohmann::json(text); }

nlohmann::json MismatchToJson(const ParityMismatch& mismatch) {
  return {{"topic", mismatch.topic},
          {"doc_key", mismatch.doc_key},
          {"reason", ParityReasonName(mismatch.reason)},
          {"compared", ComparedName(mismatch.first.compared)},
          {"booked_to", mismatch.first.booked_to},
          {"detail", mismatch.detail},
          {"reference_version", OrNull(mismatch.first.reference.version)},
          {"other_version", OrNull(mismatch.first.other.version)},
          {"reference_hash", OrNull(mismatch.first.reference.hash)},
          {"other_hash", OrNull(mismatch.first.other.hash)},
          {"watermark", mismatch.watermark == 0 ? nlohmann::json() : nlohmann::json(mismatch.watermark)}};
}

nlohmann::json MismatchesToJson(const std::vector<ParityMismatch>& mismatches) {
  nlohmann::json list = nlohmann::json::array();
  for (const ParityMismatch& mismatch : mismatches) list.push_back(MismatchToJson(mismatch));
  return list;
}

}  // namespace

int64_t ParityReport::checked() const {
  int64_t sum = 0;
  for (const int64_t count : reasons) sum += count;
  return sum;
}

nlohmann::json ReportToJson(const ParityReport& report, const ParityLane& lane) {
  nlohmann::json json = {{"lane", report.lane},
                         {"adapter", lane.adapter},
                         {"authority", lane.authority},
                         {"seed", report.seed},
                         {"seconds", report.seconds},
                         {"checked", report.checked()},
                         {"mismatched", report.mismatched()},
                         {"by_reason", ReasonsToJson(report.reasons)},
                         {"journal_checked", report.journal_checked},
                         {"wire_checked", report.wire_checked},
                         {"unanswered", report.unanswered},
                         {"mismatches", MismatchesToJson(report.mismatches)}};
  if (report.busy) json["busy"] = true;
  if (!report.error.empty()) json["error"] = report.error;
  if (!report.wire_error.empty()) json["wire_error"] = report.wire_error;
  if (!report.last_unanswered.empty()) json["last_unanswered"] = report.last_unanswered;
  return json;
}

LaneAudit::LaneAudit(const AuditTools& tools, const ParityLane& lane, EarlierLane* earlier, int64_t seed)
    : tools_(tools), lane_(lane), earlier_(earlier) {
  report_.lane = lane.name;
  report_.seed = seed;
}

ParityReport LaneAudit::Run() {
  const int64_t begun_ms = NowMs();
  // Of the session: it goes with the connection, whatever becomes of us.
  const std::string lock = "hashtextextended('oa_sync parity ' || $1, 0)";
  const auto locked = tools_.db.Query("SELECT pg_try_advisory_lock(" + lock + ")", {lane_.name});
  if (!locked.ok()) {
    Fail(locked);
    return report_;
  }
  report_.busy = !locked.IsTrue(0);
  if (report_.busy) return report_;
  if (Draw()) {
    for (const std::string& topic : topics_) {
      if (!report_.error.empty() || StopSignal() != 0) break;
      AuditTopic(topic, sample_[topic]);
    }
    // Of the lane as a whole: a topic of one document that is answered with nonsense does not end the others' audit.
    if (report_.error.empty() && report_.unanswered > 0 && !is_answered_) {
      report_.error = "the earlier lane gave no answer that can be used: " + report_.last_unanswered;
    }
    if (report_.error.empty() && StopSignal() == 0) ProbeWire();
  }
  Conclude();
  report_.seconds = static_cast<double>(NowMs() - begun_ms) / 1000;
  if (StopSignal() == 0) Record();
  tools_.db.Query("SELECT pg_advisory_unlock(" + lock + ")", {lane_.name});
  return report_;
}

void LaneAudit::Fail(const DatabaseResult& result) {
  if (report_.error.empty()) report_.error = "database: " + result.error;
}

// False without a sample.
bool LaneAudit::Draw() {
  const auto drawn =
      Ask(tools_.db, "SELECT topic, doc_key FROM " + tools_.schema + ".sync_parity_sample($1, $2::bigint, $3::integer)",
          {lane_.name, std::to_string(report_.seed), std::to_string(lane_.samples)});
  if (!drawn.ok()) {
    Fail(drawn);
    return false;
  }
  for (const DatabaseRow& row : drawn.rows) {
    if (!row[0]) continue;
    if (sample_.count(*row[0]) == 0) topics_.push_back(*row[0]);
    auto& keys = sample_[*row[0]];
    if (row[1]) keys.push_back(*row[1]);
    report_.last_topic = *row[0];
  }
  if (earlier_ == nullptr || topics_.empty()) return true;
  const int64_t wanted = std::max<int64_t>(1, lane_.samples / 2 / static_cast<int64_t>(topics_.size()));
  for (const std::string& topic : topics_) {
    auto& keys = sample_[topic];
    const auto more = earlier_->Sample(topic, report_.seed, wanted, &report_.error);
    if (!report_.error.empty()) return false;
    const std::set<std::string> known(keys.begin(), keys.end());
    std::set<std::string> added;
    for (const std::string& key : more) {
      if (known.count(key) == 0 && added.insert(key).second) keys.push_back(key);
    }
  }
  return true;
}

void LaneAudit::AuditTopic(const std::string& topic, const std::vector<std::string>& sampled) {
  if (earlier_ == nullptr) CompareProjections(topic);
  if (sampled.empty() || !report_.error.empty()) return;
  std::vector<std::string> keys = sampled;
  if (earlier_ != nullptr && !CompareWithEarlier(topic, &keys)) return;
  Looks looks;
  if (keys.empty() || !LookAt(topic, keys, {}, &looks)) return;
  CompareWithin(topic, keys, looks);
}

bool LaneAudit::LookAt(const std::string& topic, const std::vector<std::string>& keys,
                       const std::vector<int64_t>& versions, Looks* looks) {
  const auto result = Ask(
      tools_.db,
      "SELECT doc_key, is_there, doc_version, payload_hash, stored_hash, journal, watermark, epoch, op, event_version, "
      "event_hash, changed_s, hash_at_version FROM " +
          tools_.schema +
          ".sync_parity_documents($1, ARRAY(SELECT json_array_elements_text($2::json)), nullif($3, '{}')::bigint[])",
      {topic, JsonTexts(keys), VersionsArray(versions)});
  if (!result.ok()) {
    Fail(result);
    return false;
  }
  looks->clear();
  for (const DatabaseRow& row : result.rows) {
    Look& look = (*looks)[row[0].value_or("")];
    look.document.exists = row[1].value_or("f") == "t";
    look.document.version = Integer(row[2]);
    look.document.hash = row[3].value_or("");
    look.stored_hash = row[4].value_or("");
    look.journal.journal = row[5].value_or("");
    look.journal.watermark = Integer(row[6]).value_or(0);
    look.journal.epoch = Integer(row[7]).value_or(0);
    look.journal.op = row[8].value_or("");
    look.journal.event.exists = look.journal.op == "upsert";
    look.journal.event.version = Integer(row[9]);
    look.journal.event.hash = row[10].value_or("");
    look.hash_at_version = row[12].value_or("");
    // The newest event made the document what it is: so old is it.
    const bool made =
        look.document.exists ? look.journal.event.hash == look.document.hash : look.journal.op == "delete";
    if (row[11] && made) look.document.age_s = std::strtod(row[11]->c_str(), nullptr);
    // The event's version is that of its watermark where the table has none.
    if (!look.document.version && look.document.exists) look.journal.event.version.reset();
  }
  return true;
}

bool LaneAudit::Pause(int64_t until_ms) const {
  for (int64_t left = until_ms - NowMs(); left > 0 && StopSignal() == 0; left = until_ms - NowMs()) {
    poll(nullptr, 0, static_cast<int>(std::min<int64_t>(left, kLookForStopMs)));
  }
  return StopSignal() == 0;
}

void LaneAudit::Unanswered(const std::string& why) {
  ++report_.unanswered;
  report_.last_unanswered = why;
}

// Reads both sides and settles what differs; *keys keeps those that the earlier lane answered for. False when the audit
// is over.
bool LaneAudit::CompareWithEarlier(const std::string& topic, std::vector<std::string>* keys) {
  const auto answers = earlier_->Read(topic, *keys, /*again=*/false, &report_.error);
  Looks looks;
  if (!report_.error.empty() || StopSignal() != 0 || !LookAt(topic, *keys, {}, &looks)) return false;
  std::map<std::string, PendingComparison> pending;
  std::vector<std::string> answered;
  for (const std::string& key : *keys) {
    const auto found = answers.find(key);
    if (found == answers.end() || !found->second.answered) {
      Unanswered(found == answers.end() ? "no answer" : found->second.error);
      continue;
    }
    is_answered_ = true;
    const DocumentState& earlier = found->second.state;
    const Look& look = looks[key];
    const Standing standing = Compare(earlier, look.document);
    // What is nowhere, and was never heard of, is no document.
    if (standing == Standing::kNeither && look.journal.journal != "found") continue;
    answered.push_back(key);
    checked_.insert({topic, key});
    if (standing == Standing::kEqual || standing == Standing::kNeither) continue;
    pending.emplace(key,
                    PendingComparison(earlier, look.document, static_cast<int64_t>(lane_.lag_limit_s * 1000), NowMs()));
  }
  if (!Settle(topic, &pending)) return false;
  keys->clear();
  for (std::string& key : answered) {
    if (checked_.count({topic, key}) > 0) keys->push_back(std::move(key));
  }
  return true;
}

bool LaneAudit::Settle(const std::string& topic, std::map<std::string, PendingComparison>* pending) {
  while (!pending->empty()) {
    int64_t next_ms = NowMs() + kConfirmAfterMs * 10;
    for (const auto& [key, one] : *pending) next_ms = std::min(next_ms, one.next_look_ms());
    if (!Pause(next_ms)) return false;
    std::vector<std::string> due;
    for (const auto& [key, one] : *pending) {
      if (one.next_look_ms() <= NowMs()) due.push_back(key);
    }
    if (due.empty()) continue;
    const auto answers = earlier_->Read(topic, due, /*again=*/true, &report_.error);
    Looks looks;
    if (!report_.error.empty() || StopSignal() != 0 || !LookAt(topic, due, {}, &looks)) return false;
    for (const std::string& key : due) {
      auto& one = pending->at(key);
      const auto found = answers.find(key);
      const bool answered = found != answers.end() && found->second.answered;
      if (!answered) Unanswered(found == answers.end() ? "no answer" : found->second.error);
      const auto verdict = answered ? one.Look(found->second.state, looks[key].document, NowMs())
                                    : PendingComparison::Verdict{PendingComparison::Outcome::kUnsettled};
      if (!verdict) continue;
      if (verdict->outcome == PendingComparison::Outcome::kDiffers) BookEarlier(topic, key, one, verdict->standing);
      if (verdict->outcome == PendingComparison::Outcome::kUnsettled) {
        if (answered) Unanswered("it changed with every look");
        checked_.erase({topic, key});
      }
      pending->erase(key);
    }
  }
  return true;
}

// Whether who is behind also has another content than the other side had at that version.
bool LaneAudit::HasOtherContent(const std::string& topic, const std::string& key, const PendingComparison& pending,
                                Standing standing) {
  if (standing == Standing::kSecondBehind) {
    const std::string then = earlier_->HashAt(topic, key, *pending.second().version);
    return !then.empty() && then != pending.second().hash;
  }
  Looks looks;
  if (!LookAt(topic, {key}, {*pending.first().version}, &looks)) return false;
  const std::string& then = looks[key].hash_at_version;
  return !then.empty() && then != pending.first().hash;
}

void LaneAudit::BookEarlier(const std::string& topic, const std::string& key, const PendingComparison& pending,
                            Standing standing) {
  const bool earlier_decides = lane_.authority != "oa_sync";
  const std::string reference = earlier_decides ? "the earlier lane, the authority," : "OA Sync, the authority,";
  const std::string other = earlier_decides ? "OA Sync" : "the earlier lane";
  Difference difference;
  difference.compared = Compared::kEarlier;
  difference.booked_to = earlier_decides ? "oa_sync" : "earlier";
  difference.reference = earlier_decides ? pending.first() : pending.second();
  difference.other = earlier_decides ? pending.second() : pending.first();
  switch (standing) {
    case Standing::kFirstLacks:
    case Standing::kSecondLacks:
      difference.reason = ParityReason::kMissing;
      difference.detail = difference.other.exists ? other + " has a document that " + reference + " has not"
                                                  : other + " lacks a document that " + reference + " has";
      break;
    case Standing::kFirstBehind:
    case Standing::kSecondBehind: {
      const bool differs = HasOtherContent(topic, key, pending, standing);
      const bool is_behind = *difference.other.version < *difference.reference.version;
      difference.reason = differs ? ParityReason::kHashAndLagDrift : ParityReason::kLagDrift;
      difference.detail = other + (is_behind ? " is behind " : " is ahead of ") + reference +
                          " for longer than the lane's lag limit" +
                          (differs ? ", and the contents differ at the lower version" : "");
      break;
    }
    default:
      difference.reason = ParityReason::kSummaryHashMismatch;
      difference.detail = other + " has another content than " + reference + " has" +
                          (difference.reference.version && difference.other.version ? " at the same version" : "");
  }
  Add(topic, key, std::move(difference));
}

// Stored hashes and newest events. Only what differs is looked at twice.
bool LaneAudit::CompareWithin(const std::string& topic, const std::vector<std::string>& keys, const Looks& looks) {
  const auto differing = [](const Look& look) {
    std::vector<Difference> found;
    if (!look.stored_hash.empty() && look.document.exists && look.stored_hash != look.document.hash) {
      Difference stored;
      stored.compared = Compared::kStored;
      stored.reason = ParityReason::kSummaryHashMismatch;
      stored.detail = "the read model keeps another payload_hash than its payload has";
      stored.reference = look.document;
      stored.other = look.document;
      stored.other.hash = look.stored_hash;
      found.push_back(std::move(stored));
    }
    if (auto journal = CompareWithJournal(look.document, look.journal)) found.push_back(std::move(*journal));
    return found;
  };
  std::vector<std::string> again;
  for (const std::string& key : keys) {
    const Look& look = looks.at(key);
    if (look.journal.journal == "found") {
      ++report_.journal_checked;
      journal_[{topic, key}] = look.journal;
    }
    if (look.document.exists || look.journal.journal == "found") checked_.insert({topic, key});
    if (!differing(look).empty()) again.push_back(key);
  }
  if (again.empty()) return true;
  Looks second;
  if (!Pause(NowMs() + kConfirmAfterMs) || !LookAt(topic, again, {}, &second)) return false;
  for (const std::string& key : again) {
    for (Difference& difference : differing(second[key])) Add(topic, key, std::move(difference));
  }
  return true;
}

void LaneAudit::CompareProjections(const std::string& topic) {
  const int64_t wanted =
      std::max<int64_t>(1, lane_.samples / static_cast<int64_t>(std::max<size_t>(1, topics_.size())));
  const auto ask = [&](std::map<std::string, Difference>* differing) {
    const auto result = Ask(tools_.db,
                            "SELECT doc_key, source_version, source_hash, model_version, model_hash FROM " +
                                tools_.schema + ".sync_parity_projections($1, $2::bigint, $3::integer)",
                            {topic, std::to_string(report_.seed), std::to_string(wanted)});
    if (!result.ok()) {
      Fail(result);
      return;
    }
    for (const DatabaseRow& row : result.rows) {
      if (!row[0] || (!row[2] && !row[4])) continue;
      checked_.insert({topic, *row[0]});
      if (row[2] == row[4]) continue;
      Difference difference;
      difference.compared = Compared::kProjection;
      difference.reference = {row[2].has_value(), Integer(row[1]), row[2].value_or(""), {}};
      difference.other = {row[4].has_value(), Integer(row[3]), row[4].value_or(""), {}};
      if (!row[2] || !row[4]) {
        difference.reason = ParityReason::kMissing;
        difference.detail = row[2] ? "the read model lacks the document that its source row makes"
                                   : "the read model has a document that its source row does not make";
      } else if (difference.reference.version && difference.reference.version != difference.other.version) {
        difference.reason = ParityReason::kLagDrift;
        difference.detail = "the read model has another version than its source row makes";
      } else {
        difference.reason = ParityReason::kSummaryHashMismatch;
        difference.detail =
            "the read model has another content than its source row makes: was the function changed without "
            "sync_reproject()?";
      }
      (*differing)[*row[0]] = std::move(difference);
    }
  };
  std::map<std::string, Difference> first;
  ask(&first);
  if (first.empty() || !Pause(NowMs() + kConfirmAfterMs)) return;
  std::map<std::string, Difference> second;
  ask(&second);
  for (auto& [key, difference] : second) {
    if (first.count(key) > 0) Add(topic, key, std::move(difference));
  }
}

void LaneAudit::ProbeWire() {
  if (tools_.wire == nullptr) return;
  std::vector<Key> keys;
  keys.reserve(journal_.size());
  for (const auto& [key, journal] : journal_) keys.push_back(key);
  std::mt19937_64 random(static_cast<uint64_t>(report_.seed));
  std::shuffle(keys.begin(), keys.end(), random);
  keys.resize(std::min(keys.size(), static_cast<size_t>(tools_.probes)));
  std::string error;
  int in_vain = 0;
  for (const Key& key : keys) {
    if (StopSignal() != 0) return;
    const JournalState& journal = journal_[key];
    WireAnswer answer = tools_.wire->Probe(key.first, journal.epoch, journal.watermark);
    // Once more before it counts.
    if (CompareWithWire(key.second, journal, answer)) {
      answer = tools_.wire->Probe(key.first, journal.epoch, journal.watermark);
    }
    if (!answer.answered) {
      error = answer.error;
      if (++in_vain >= kProbesInVain) break;
      continue;
    }
    in_vain = 0;
    ++report_.wire_checked;
    if (auto difference = CompareWithWire(key.second, journal, answer)) Add(key.first, key.second, *difference);
  }
  if (report_.wire_checked == 0) report_.wire_error = error;
}

void LaneAudit::Add(const std::string& topic, const std::string& key, Difference difference) {
  checked_.insert({topic, key});
  differences_[{topic, key}].push_back(std::move(difference));
}

void LaneAudit::Conclude() {
  if (!report_.error.empty()) return;  // half an audit says nothing
  report_.reasons[0] = static_cast<int64_t>(checked_.size() - differences_.size());
  for (const auto& [key, differences] : differences_) {
    const ParityReason reason = Combine(differences);
    ++report_.reasons[static_cast<size_t>(reason)];
    if (report_.mismatches.size() >= kMaxMismatches) continue;
    ParityMismatch& mismatch = report_.mismatches.emplace_back();
    mismatch.topic = key.first;
    mismatch.doc_key = key.second;
    mismatch.reason = reason;
    mismatch.first = differences.front();
    for (const Difference& difference : differences) {
      mismatch.detail += (mismatch.detail.empty() ? "" : "; ") + difference.detail;
    }
    if (const auto found = journal_.find(key); found != journal_.end()) mismatch.watermark = found->second.watermark;
  }
}

void LaneAudit::Record() {
  nlohmann::json audit = {{"seed", report_.seed},
                          {"seconds", report_.seconds},
                          {"reasons", ReasonsToJson(report_.reasons)},
                          {"journal_checked", report_.journal_checked},
                          {"wire_checked", report_.wire_checked},
                          {"unanswered", report_.unanswered},
                          {"error", OrNull(report_.error)},
                          {"last_topic", report_.last_topic},
                          {"results", MismatchesToJson(report_.mismatches)}};
  // PostgreSQL's texts have no zero character; one that a stranger wrote into an error is shown as what it is not.
  std::string text = audit.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
  for (size_t at = 0; (at = text.find("\\u0000", at)) != std::string::npos; at += 6) text.replace(at, 6, "\\ufffd");
  const auto result =
      tools_.db.Query("SELECT " + tools_.schema + ".sync_parity_record($1, $2::json)", {lane_.name, text});
  if (!result.ok()) Fail(result);
}

}  // namespace oasync::terminal
