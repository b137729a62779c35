#include "rpc/thread_set.h"

#include <utility>

#include "base/thread.h"

namespace adyton::rpc {

// Threads that were on their way out when nobody could wait for them. Never destroyed: a session may end while the process does,
// and its last thread comes here then.
class ThreadSet::Leftovers {
 public:
  static Leftovers& instance() {
    static auto* const leftovers = new Leftovers;
    struct AtExit {
      ~AtExit() { leftovers->end(); }
    };
    static const AtExit at_exit;
    return *leftovers;
  }

  void add(std::shared_ptr<Entry> entry) {
    const std::lock_guard lock(mutex_);
    if (ending_) {
      entry->thread.detach();
    } else {
      entries_.push_back(std::move(entry));
    }
  }
  void join_done() {
    Entries done;
    {
      const std::lock_guard lock(mutex_);
      done = take_done(entries_);
    }
    join_all(std::move(done));
  }

 private:
  void end() {
    Entries entries;
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
      entries.swap(entries_);
    }
    join_all(std::move(entries));
  }

  std::mutex mutex_;
  Entries entries_;
  bool ending_ = false;
};

ThreadSet::~ThreadSet() {
  close();
  join();
}

ThreadSet::Entries ThreadSet::take_done(Entries& entries) {
  Entries done;
  for (auto at = entries.begin(); at != entries.end();) {
    const auto next = std::next(at);
    if ((*at)->done) done.splice(done.end(), entries, at);
    at = next;
  }
  return done;
}

void ThreadSet::join_all(Entries entries) {
  for (const auto& entry : entries) {
    if (entry->thread.get_id() != std::this_thread::get_id()) {
      entry->thread.join();
    } else {
      Leftovers::instance().add(entry);
    }
  }
}

Result<> ThreadSet::start(std::string name, std::function<void()> body) {
  Leftovers::instance().join_done();
  Entries done;
  Result<> result;
  {
    const std::lock_guard lock(mutex_);
    done = take_done(entries_);
    if (closed_) {
      result = fail(ErrorCode::kUnavailable, "no new threads: the owner is being shut down");
    } else {
      auto entry = std::make_shared<Entry>();
      auto thread = start_thread(std::move(name), [entry, run = std::move(body)]() mutable {
        run();
        run = nullptr;  // may destroy this set
        entry->done = true;
      });
      if (thread) {
        entry->thread = std::move(*thread);
        entries_.push_back(std::move(entry));
      } else {
        result = std::unexpected(std::move(thread).error());
      }
    }
  }
  join_all(std::move(done));
  return result;
}

void ThreadSet::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
}

void ThreadSet::join() {
  for (;;) {
    Entries entries;
    {
      const std::lock_guard lock(mutex_);
      entries.swap(entries_);
    }
    if (entries.empty()) return;
    join_all(std::move(entries));
  }
}

}  // namespace adyton::rpc
