// A program that starts like adytond, serves a FakeService, and ends when its last client has gone.
#include <poll.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string>

#include "rpc/server.h"
#include "sdk/testing/fake_service.h"
#include "service/interface.h"

int main(int argc, char** argv) {
  using namespace adyton;
  const char* directory = std::getenv("ADYTON_RUNTIME_DIR");
  if (directory == nullptr || argc != 3 || std::strcmp(argv[1], "--ready-fd") != 0) return 2;
  rpc::Server server({.max_threads = 4, .allow_fds = true, .max_body_size = service::kMaxRpcBody});
  auto service = std::make_shared<sdk::testing::FakeService>();
  // What it was told, for the test.
  service->capabilities.version = std::string(std::getenv("ADYTON_FAKE_WORD") != nullptr ? std::getenv("ADYTON_FAKE_WORD") : "") +
                                  (std::getenv("SECRET_OF_THE_CLIENT") != nullptr ? " leaked" : "") + " " +
                                  std::to_string(::getpid());
  server.set_root(service);
  auto socket = rpc::listen_on(rpc::UnixAddress{std::string(directory) + "/adytond.sock"});
  if (!socket || !server.serve(std::move(*socket))) return 3;
  if (::write(std::atoi(argv[2]), &service::kReadyByte, 1) != 1) return 4;
  ::close(std::atoi(argv[2]));
  bool seen = false;
  for (int rounds = 0; rounds < 20'000; ++rounds) {
    const size_t sessions = server.session_count();
    if (sessions > 0) seen = true;
    if (seen && sessions == 0) break;
    ::poll(nullptr, 0, 5);
  }
  server.shutdown();
  ::unlink((std::string(directory) + "/adytond.sock").c_str());
}
