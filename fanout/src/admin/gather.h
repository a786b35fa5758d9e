// Gather: a question to every event loop, and their answers together, or those that came in time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/deadlines.h"
#include "hub/hub.h"

namespace oasync {

// The loops, as operators' questions reach them. What it refers to must outlive every question.
struct LoopAccess {
  // Runs the task on the thread of each loop, later; its number comes with it. Returns how many loops there are.
  std::function<size_t(std::function<void(Hub&, size_t loop)>)> post;
  Deadlines& deadlines;
  const Clock& clock;
};

// A loop that is this late is left out.
inline constexpr int64_t kLoopPatienceMs = 1000;

// Calls `done` once, on the thread of the last loop that answered, or on that of the deadlines: with each loop's part,
// nothing where none came in time. `ask` must be quick, as everything on a loop.
template <typename Part>
void GatherFromLoops(const LoopAccess& loops, std::function<Part(Hub&)> ask,
                     std::function<void(std::vector<std::optional<Part>>)> done) {
  struct State {
    std::mutex mutex;
    std::vector<std::optional<Part>> parts;
    size_t answered = 0;
    size_t expected = SIZE_MAX;  // until all are asked
    std::function<void(std::vector<std::optional<Part>>)> done;

    // The last answer, or the deadline, takes everything.
    void Finish(std::unique_lock<std::mutex> lock) {
      auto call = std::exchange(done, nullptr);
      auto all = std::move(parts);
      const size_t count = expected;
      lock.unlock();
      if (!call) return;
      all.resize(count);
      call(std::move(all));
    }
  };
  auto state = std::make_shared<State>();
  state->done = std::move(done);
  const size_t count = loops.post([state, ask = std::move(ask)](Hub& hub, size_t loop) {
    Part part = ask(hub);
    std::unique_lock lock(state->mutex);
    if (!state->done) return;
    if (state->parts.size() <= loop) state->parts.resize(loop + 1);
    state->parts[loop] = std::move(part);
    if (++state->answered == state->expected) state->Finish(std::move(lock));
  });
  {
    std::unique_lock lock(state->mutex);
    state->expected = count;
    if (state->answered == count) return state->Finish(std::move(lock));
  }
  loops.deadlines.Add(loops.clock.SteadyMs() + kLoopPatienceMs, [weak = std::weak_ptr(state)] {
    if (const auto late = weak.lock()) late->Finish(std::unique_lock(late->mutex));
  });
}

}  // namespace oasync
