#include "guest/payload/include/adyton/payload.h"

#include <fcntl.h>
#include <sys/socket.h>
// After what it needs.
#include <linux/vm_sockets.h>
#include <unistd.h>

#include "adyton/virtualmachineservice/IVirtualMachineService.h"
#include "rpc/server.h"
#include "rpc/session.h"

namespace adyton::payload {
namespace {

// Calls that the host makes at once are served at once; a payload that wants less locks.
constexpr uint32_t kServerThreads = 8;

}  // namespace

Result<void> notify_ready() {
  using virtualmachineservice::IVirtualMachineService;
  const auto session = TRY(rpc::Session::connect(
      rpc::VsockAddress{VMADDR_CID_HOST, static_cast<uint32_t>(IVirtualMachineService::VM_BINDER_SERVICE_PORT)}, {.outgoing_connections = 1}));
  auto root = TRY(session->root());
  const auto service = IVirtualMachineService::from_binder(std::move(root));
  if (!service) return fail(ErrorCode::kUnavailable, "the host offers no virtual machine service");
  TRY(service->notifyPayloadReady());
  return {};
}

Result<std::array<uint8_t, 64>> instance_id() {
  // Where AVF's guests have it as well.
  const UniqueFd file(::open("/proc/device-tree/avf/untrusted/instance-id", O_RDONLY | O_CLOEXEC));
  std::array<uint8_t, 64> id;
  if (!file.valid() || ::read(file.get(), id.data(), id.size()) != static_cast<ssize_t>(id.size()))
    return fail(ErrorCode::kNotFound, "the host has not named this instance");
  return id;
}

Result<void> serve_vsock(std::shared_ptr<rpc::Binder> service, uint32_t port, const std::function<void()>& on_ready) {
  rpc::Server server({.max_threads = kServerThreads});
  server.set_root(std::move(service));
  server.set_peer_filter([](const rpc::Caller& caller) { return caller.vsock_cid == VMADDR_CID_HOST; });
  auto listening = TRY(rpc::listen_on(rpc::VsockAddress{VMADDR_CID_ANY, port}));
  TRY(server.serve(std::move(listening)));
  if (on_ready) on_ready();
  for (;;) ::pause();
}

}  // namespace adyton::payload
