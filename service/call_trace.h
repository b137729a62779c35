// A trace of the calls that are served about one VM: its clients', and its guest's (observe/trace_record.h, TraceCall).
//
// Threading: any. While there is no trace, a call costs it the load of a flag.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"
#include "observe/record_ring.h"

namespace adyton::service {

class CallTrace {
 public:
  // Calls from now on go to the ring in `memory`, until the socket whose other end is returned is closed. One at a time:
  // kExhausted while there is another. kCorrupt for a memory that is no ring.
  Result<UniqueFd> start(int memory);

  struct Call {
    std::string interface;
    std::string_view method;  // empty: none of the interface's
    uint64_t begin = 0;       // nanoseconds of CLOCK_MONOTONIC
    uint64_t end = 0;
    bool succeeded = false;
    bool oneway = false;
    bool from_guest = false;
  };
  [[nodiscard]] bool running() const { return running_.load(std::memory_order_relaxed); }
  void served(const Call& call) {
    if (running()) [[unlikely]]
      write(call);
  }

 private:
  struct Session {
    Session(observe::RecordRing memory, UniqueFd socket) : ring(std::move(memory)), wake(std::move(socket)), writer(ring) {}
    observe::RecordRing ring;
    UniqueFd wake;
    observe::RecordWriter writer;
  };

  void write(const Call& call);
  // With the mutex held: ends a trace whose reader is gone.
  void look();

  std::atomic<bool> running_ = false;
  std::mutex mutex_;
  std::unique_ptr<Session> session_;  // guarded by mutex_
};

}  // namespace adyton::service
