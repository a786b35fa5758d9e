// Mailbox: how other threads hand things to an event loop.
#pragma once

#include <atomic>
#include <utility>

namespace oasync {

// Many producers, one consumer, no lock: producers push onto a stack, the consumer takes the whole stack at once
// and turns it round. Post may be called from any thread, Drain from the consumer only. Items that were never
// drained are destroyed with the mailbox.
template <typename T>
class Mailbox {
 public:
  Mailbox() = default;
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;
  ~Mailbox() {
    for (Node* node = top_.load(); node != nullptr;) delete std::exchange(node, node->next);
  }

  // Returns true if the mailbox was empty, that is, if the consumer has to be woken.
  bool Post(T item) {
    Node* below = top_.load(std::memory_order_relaxed);
    Node* node = new Node{std::move(item), below};
    while (!top_.compare_exchange_weak(below, node, std::memory_order_release, std::memory_order_relaxed)) {
      node->next = below;
    }
    // The node is the consumer's now, who may have freed it.
    return below == nullptr;
  }

  // Calls take(T&&) for everything posted so far, in the order of posting.
  template <typename Take>
  void Drain(Take take) {
    Node* newest = top_.exchange(nullptr, std::memory_order_acquire);
    Node* oldest = nullptr;
    while (newest != nullptr) {
      Node* next = newest->next;
      newest->next = oldest;
      oldest = newest;
      newest = next;
    }
    while (oldest != nullptr) {
      Node* node = std::exchange(oldest, oldest->next);
      take(std::move(node->item));
      delete node;
    }
  }

 private:
  struct Node {
    T item;
    Node* next;
  };
  std::atomic<Node*> top_{nullptr};
};

}  // namespace oasync
