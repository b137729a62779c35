#include "hypervisor/kvm_probe.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>

#include "base/mapping.h"
#include "base/result.h"
#include "base/unique_fd.h"

#if defined(__x86_64__)
#include <linux/kvm.h>
#endif

namespace adyton::hypervisor {
namespace {

using State = KvmReport::State;

// Hardware needs 1.0 and one to three microseconds; nested hardware virtualization about 1.0 and twenty.
constexpr double kMaxLoopRatio = 3;
constexpr double kMaxExitMicroseconds = 100;

KvmReport report(State state, std::string reason) { return {.state = state, .reason = std::move(reason)}; }

#if defined(__x86_64__)

constexpr auto kPatience = std::chrono::milliseconds(2000);
constexpr uint64_t kLoopTurns = 20'000'000;
constexpr uint64_t kExitTurns = 2'000;

double seconds_since(std::chrono::steady_clock::time_point began) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
}

double native_loop_seconds() {
  const auto began = std::chrono::steady_clock::now();
  uint64_t turns = kLoopTurns;
  asm volatile("1: dec %0\n jnz 1b" : "+r"(turns) : : "cc");
  return seconds_since(began);
}

// The guest: one loop, an exit, then a loop of exits, then HLT. rcx and rdx come from set_regs.
constexpr uint8_t kGuestCode[] = {
    0x48, 0xff, 0xc9,  // 0: dec rcx
    0x75, 0xfb,        // 3: jnz 0
    0xe6, 0x10,        // 5: out 0x10, al
    0xe6, 0x10,        // 7: out 0x10, al
    0x48, 0xff, 0xca,  // 9: dec rdx
    0x75, 0xf9,        // 12: jnz 7
    0xf4,              // 14: hlt
};
constexpr uint64_t kPageTables = 0x1000;  // PML4, PDPT, PD: 2 MiB identity-mapped
constexpr uint64_t kCodeAddress = 0x8000;
constexpr size_t kGuestMemory = 0x10000;

// 64-bit mode straight away, as a kernel runs: Intel SDM volume 3A, 10.8.5 and 4.5.
void set_long_mode(kvm_sregs& sregs) {
  kvm_segment code{};
  code.base = 0;
  code.limit = 0xffffffff;
  code.selector = 8;
  code.type = 11;
  code.present = 1;
  code.s = 1;
  code.l = 1;
  code.g = 1;
  kvm_segment data = code;
  data.selector = 16;
  data.type = 3;
  data.l = 0;
  data.db = 1;
  sregs.cs = code;
  sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
  sregs.cr3 = kPageTables;
  sregs.cr4 = 1u << 5;                            // PAE
  sregs.cr0 = 1u << 31 | 1u << 16 | 1u << 4 | 1;  // PG, WP, ET, PE
  sregs.efer = 1u << 8 | 1u << 10;                // LME, LMA
}

void put(uint8_t* memory, uint64_t address, uint64_t value) { std::memcpy(memory + address, &value, sizeof(value)); }

struct Measurement {
  double loop_seconds = 0;
  double exit_seconds = 0;  // all of them
};

Result<Measurement> run_guest(int kvm) {
  UniqueFd vm(::ioctl(kvm, KVM_CREATE_VM, 0));
  if (!vm.valid()) return fail_errno("KVM_CREATE_VM");
  const Mapping memory = TRY(Mapping::anonymous(kGuestMemory));
  put(memory.data(), kPageTables, (kPageTables + 0x1000) | 3);  // present, writable
  put(memory.data(), kPageTables + 0x1000, (kPageTables + 0x2000) | 3);
  put(memory.data(), kPageTables + 0x2000, 0x83);  // a 2 MiB page
  std::memcpy(memory.data() + kCodeAddress, kGuestCode, sizeof(kGuestCode));
  kvm_userspace_memory_region region{};
  region.memory_size = memory.size();
  region.userspace_addr = reinterpret_cast<uint64_t>(memory.data());
  if (::ioctl(vm.get(), KVM_SET_USER_MEMORY_REGION, &region) != 0) return fail_errno("KVM_SET_USER_MEMORY_REGION");
  UniqueFd cpu(::ioctl(vm.get(), KVM_CREATE_VCPU, 0));
  if (!cpu.valid()) return fail_errno("KVM_CREATE_VCPU");
  const int run_size = ::ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
  if (run_size < static_cast<int>(sizeof(kvm_run))) return fail_errno("KVM_GET_VCPU_MMAP_SIZE");
  const Mapping shared = TRY(Mapping::shared(cpu.get(), static_cast<size_t>(run_size), PROT_READ | PROT_WRITE));
  const auto* run = reinterpret_cast<const volatile kvm_run*>(shared.data());
  kvm_sregs sregs{};
  if (::ioctl(cpu.get(), KVM_GET_SREGS, &sregs) != 0) return fail_errno("KVM_GET_SREGS");
  set_long_mode(sregs);
  if (::ioctl(cpu.get(), KVM_SET_SREGS, &sregs) != 0) return fail_errno("KVM_SET_SREGS");
  kvm_regs regs{};
  regs.rip = kCodeAddress;
  regs.rcx = kLoopTurns;
  regs.rdx = kExitTurns;
  regs.rflags = 2;
  if (::ioctl(cpu.get(), KVM_SET_REGS, &regs) != 0) return fail_errno("KVM_SET_REGS");

  Measurement measured;
  auto began = std::chrono::steady_clock::now();
  for (uint64_t exits = 0;; ++exits) {
    if (::ioctl(cpu.get(), KVM_RUN, 0) != 0) return fail_errno("KVM_RUN");
    if (run->exit_reason == KVM_EXIT_IO && exits == 0) {
      measured.loop_seconds = seconds_since(began);
      began = std::chrono::steady_clock::now();
    } else if (run->exit_reason == KVM_EXIT_HLT && exits == kExitTurns + 1) {
      measured.exit_seconds = seconds_since(began);
      return measured;
    } else if (run->exit_reason != KVM_EXIT_IO) {
      return fail(ErrorCode::kInternal, fmt::format("the guest ended with exit reason {} instead of running", +run->exit_reason));
    }
  }
}

// What the child that runs the guest tells its parent.
struct Telegram {
  Measurement measured;
  bool ok = false;
  char error[200] = {};
};

// In a process of its own: a KVM that hangs takes only that one with it.
Result<Measurement> run_guest_bounded(int kvm) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("cannot make a pipe");
  UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  const pid_t child = ::fork();
  if (child < 0) return fail_errno("cannot fork");
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    Telegram telegram;
    auto measured = run_guest(kvm);
    telegram.ok = measured.has_value();
    if (measured) telegram.measured = *measured;
    if (!measured) std::strncpy(telegram.error, measured.error().message.c_str(), sizeof(telegram.error) - 1);
    (void)!::write(writer.get(), &telegram, sizeof(telegram));
    ::_exit(0);
  }
  writer.reset();
  pollfd readable{.fd = reader.get(), .events = POLLIN, .revents = 0};
  Telegram telegram;
  const bool heard = ::poll(&readable, 1, static_cast<int>(kPatience.count())) > 0;
  const bool whole = heard && ::read(reader.get(), &telegram, sizeof(telegram)) == sizeof(telegram);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  if (!heard)
    return fail(ErrorCode::kUnavailable, fmt::format("a guest that needs about {:.0f} ms had not finished after {} s",
                                                     native_loop_seconds() * 1000, kPatience.count() / 1000));
  if (!whole) return fail(ErrorCode::kInternal, "the process that ran the test guest died");
  if (!telegram.ok) return fail(ErrorCode::kInternal, telegram.error);
  return telegram.measured;
}

#endif

}  // namespace

KvmReport judge_kvm(double loop_ratio, double exit_microseconds) {
  KvmReport verdict{.loop_ratio = loop_ratio, .exit_microseconds = exit_microseconds};
  const std::string figures =
      fmt::format("a loop takes {:.1f} times as long as outside, an exit {:.1f} us", loop_ratio, exit_microseconds);
  if (loop_ratio > kMaxLoopRatio || exit_microseconds > kMaxExitMicroseconds) {
    verdict.state = State::kSlow;
    verdict.reason = "it runs, but not on the hardware's virtualization: " + figures;
  } else {
    verdict.state = State::kUsable;
    verdict.reason = figures;
  }
  return verdict;
}

KvmReport probe_kvm() {
  UniqueFd kvm(::open("/dev/kvm", O_RDWR | O_CLOEXEC));
  if (!kvm.valid()) {
    if (errno == ENOENT || errno == ENODEV || errno == ENXIO)
      return report(State::kAbsent, "this kernel or container has no /dev/kvm");
    if (errno == EACCES || errno == EPERM)
      return report(State::kNoPermission, "/dev/kvm may not be opened by this user (the group is usually 'kvm')");
    return report(State::kBroken, fail_errno("/dev/kvm").error().message);
  }
#if defined(__x86_64__)
  if (::ioctl(kvm.get(), KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
    return report(State::kBroken, "/dev/kvm does not speak the stable KVM API");
  auto measured = run_guest_bounded(kvm.get());
  if (!measured) {
    const bool hung = measured.error().code == ErrorCode::kUnavailable;
    return report(hung ? State::kSlow : State::kBroken, measured.error().message);
  }
  return judge_kvm(measured->loop_seconds / native_loop_seconds(), measured->exit_seconds / kExitTurns * 1e6);
#else
  return report(State::kBroken, "it was not measured: this host's architecture has no test guest");
#endif
}

}  // namespace adyton::hypervisor
