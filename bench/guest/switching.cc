// Switches between processes and between threads: on one CPU (context switch and address space change) and between two
// (wake-ups).
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>

#include "bench/guest/harness.h"

namespace adyton::bench {
namespace {

void run_on(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  ::sched_setaffinity(0, sizeof(set), &set);
}

bool have_two_cpus() { return ::sysconf(_SC_NPROCESSORS_ONLN) >= 2; }

int to_partner[2], from_partner[2];

void start_partner(int cpu) {
  if (::pipe(to_partner) != 0 || ::pipe(from_partner) != 0) fail("pipe failed");
  run_on(0);
  const pid_t partner = ::fork();
  if (partner < 0) fail("fork failed");
  if (partner > 0) return;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  run_on(cpu);
  for (char byte; ::read(to_partner[0], &byte, 1) == 1;) {
    if (::write(from_partner[1], &byte, 1) != 1) break;
  }
  ::_exit(0);
}

void prepare_same_cpu() { start_partner(0); }
void prepare_other_cpu() { start_partner(1); }

uint64_t run_pipe(uint64_t iterations) {
  char byte = 7;
  for (uint64_t i = 0; i < iterations; ++i) {
    if (::write(to_partner[1], &byte, 1) != 1 || ::read(from_partner[0], &byte, 1) != 1) fail("the partner process is gone");
  }
  return 0;
}

std::atomic<uint32_t> turn;  // 0: the main thread's, 1: the partner's

void await_turn(uint32_t mine) {
  for (uint32_t now; (now = turn.load(std::memory_order_acquire)) != mine;) {
    ::syscall(SYS_futex, &turn, FUTEX_WAIT_PRIVATE, now, nullptr, nullptr, 0);
  }
}

void pass_turn(uint32_t to) {
  turn.store(to, std::memory_order_release);
  ::syscall(SYS_futex, &turn, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

void prepare_threads() {
  run_on(0);  // the new thread inherits it
  pthread_t thread;
  const auto partner = [](void*) -> void* {
    for (;;) {
      await_turn(1);
      pass_turn(0);
    }
  };
  if (::pthread_create(&thread, nullptr, partner, nullptr) != 0) fail("a thread cannot be started");
}

uint64_t run_futex(uint64_t iterations) {
  for (uint64_t i = 0; i < iterations; ++i) {
    pass_turn(1);
    await_turn(0);
  }
  return 0;
}

uint64_t run_yield(uint64_t iterations) {
  for (uint64_t i = 0; i < iterations; ++i) ::sched_yield();
  return 0;
}

}  // namespace

std::span<const Benchmark> switch_benchmarks() {
  static const Benchmark all[] = {
      {"sys.yield", "ns", 1, run_yield},
      {"sys.switch_pipe", "ns", 2, run_pipe, prepare_same_cpu},
      {"sys.switch_futex", "ns", 2, run_futex, prepare_threads},
      {"sys.wake_pipe", "ns", 2, run_pipe, prepare_other_cpu, have_two_cpus},
  };
  return all;
}

}  // namespace adyton::bench
