// Times one VM from the request to its guest's first store, in microseconds, which it prints:
//   adyton_startup_probe service KERNEL       from before createVm() of a session that is open already
//   adyton_startup_probe vmm KERNEL PROGRAM   from before PROGRAM (adyton-vmm) is started, with its control socket as the service
//   has it
// Both end when the byte that the guest stored first has come out of a socket here. The VM is ended after that.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <string>
#include <string_view>

#include "adyton/virtualizationservice/IVirtualMachine.h"
#include "adyton/virtualizationservice/IVirtualizationService.h"
#include "cli/vm_process.h"
#include "rpc/session.h"
#include "service/interface.h"
#include "vmm/control/protocol.h"

namespace adyton::bench {
namespace {

namespace aidl = virtualizationservice;
using Clock = std::chrono::steady_clock;
constexpr int64_t kMemory = 64 << 20;

[[noreturn]] void give_up(const std::string& why) {
  fmt::print(stderr, "adyton_startup_probe: {}\n", why);
  std::_Exit(1);
}

template <typename T>
T need(Result<T> result) {
  if (!result) give_up(result.error().message);
  return std::move(*result);
}

template <typename T>
T need_reply(rpc::Reply<T> reply) {
  if (!reply) give_up(reply.error().to_string());
  return std::move(*reply);
}

UniqueFd open_kernel(const char* path) {
  UniqueFd fd(::open(path, O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) give_up(std::string("cannot open ") + path);
  return fd;
}

std::pair<UniqueFd, UniqueFd> console() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) give_up("no socket");
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

void await_byte(int fd, Clock::time_point start) {
  char byte = 0;
  if (::read(fd, &byte, 1) != 1) give_up("the guest said nothing");
  fmt::print("{}\n", std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - start).count());
}

void through_service(const char* kernel) {
  const char* folder = std::getenv("ADYTON_RUNTIME_DIR");
  if (folder == nullptr) give_up("ADYTON_RUNTIME_DIR does not say where the service is");
  const auto session = need(rpc::Session::connect(rpc::UnixAddress{fmt::format("{}/{}", folder, service::kSocketName)},
                                                  {.outgoing_connections = 4,
                                                   .incoming_connections = 1,
                                                   .fd_passing = rpc::FdPassing::kUnix,
                                                   .max_body_size = service::kMaxRpcBody}));
  const auto root = aidl::IVirtualizationService::from_binder(need_reply(session->root()));
  auto [ours, theirs] = console();
  aidl::VirtualMachineRawConfig machine;
  machine.kernel = open_kernel(kernel);
  machine.memoryBytes = kMemory;
  const auto config = aidl::VirtualMachineConfig::make<aidl::VirtualMachineConfig::Tag::rawConfig>(std::move(machine));
  std::optional<UniqueFd> output(std::move(theirs));
  const auto start = Clock::now();
  const auto vm = need_reply(root->createVm(config, output, std::nullopt, std::nullopt));
  if (auto started = vm->start(); !started) give_up(started.error().to_string());
  await_byte(ours.get(), start);
  (void)vm->kill();
}

void bare(const char* kernel, const char* program) {
  namespace control = vmm::control;
  const UniqueFd image = open_kernel(kernel);
  const auto [ours, theirs] = console();
  const auto start = Clock::now();
  auto vm = need(cli::VmProcess::spawn(program, "bench"));
  const int fds[] = {image.get(), theirs.get()};
  const auto request = [&](control::Request message, std::span<const int> descriptors) {
    if (auto sent = vm.control().send(need(control::encode(message)), descriptors); !sent) give_up(sent.error().message);
    const auto packet = need(vm.control().receive());
    const auto event = need(control::decode_event(packet.text, packet.fds.size()));
    const auto* reply = std::get_if<control::Reply>(&event);
    if (reply == nullptr || reply->error) give_up(reply == nullptr ? "no reply" : reply->error->message);
  };
  request(
      {.id = 1, .body = control::Configure{.cpus = 1, .memory = kMemory, .kernel = 0, .console_output = 1, .console_input = 1}},
      fds);
  request({.id = 2, .body = control::Start{}}, {});
  await_byte(ours.get(), start);
}

}  // namespace
}  // namespace adyton::bench

int main(int argc, char** argv) {
  const std::string_view mode = argc > 1 ? argv[1] : "";
  if (mode == "service" && argc == 3) {
    adyton::bench::through_service(argv[2]);
  } else if (mode == "vmm" && argc == 4) {
    adyton::bench::bare(argv[2], argv[3]);
  } else {
    adyton::bench::give_up("usage: service KERNEL, or vmm KERNEL PROGRAM");
  }
}
