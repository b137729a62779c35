#include "tests/service/service.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "service/interface.h"

namespace adyton::service_tests {
namespace {

namespace fs = std::filesystem;

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace

std::string fake_vmm() { return ADYTON_FAKE_VMM; }
std::string real_vmm() { return ADYTON_VMM; }
UniqueFd raw_kernel() { return UniqueFd(::open(ADYTON_RAW_KERNEL, O_RDONLY | O_CLOEXEC)); }

// ---- the service ---------------------------------------------------------------------------------------------------------

Service::Service() {
  std::string name = (fs::temp_directory_path() / "adyton-service-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) std::abort();
  folder_ = name;
}

Service::~Service() {
  if (pid_ > 0) stop(SIGTERM);
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

void Service::start(std::vector<std::string> options, std::vector<std::string> environment, int errors) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd ready(ends[0]);
  UniqueFd their_ready(ends[1]);

  std::vector<std::string> arguments = {"adytond", "--ready-fd=3"};
  arguments.insert(arguments.end(), options.begin(), options.end());
  const bool has_vmm = std::any_of(options.begin(), options.end(), [](const std::string& o) { return o.starts_with("--vmm"); });
  if (!has_vmm) arguments.push_back("--vmm=" + fake_vmm());
  environment.push_back("ADYTON_RUNTIME_DIR=" + folder_ + "/run");
  environment.push_back("ADYTON_JOURNAL_SOCKET=" + folder_ + "/no-journal");  // not the machine's own
  environment.push_back("XDG_DATA_HOME=" + folder_ + "/data");
  environment.push_back("XDG_CONFIG_HOME=" + folder_ + "/config");
  environment.push_back("PATH=/usr/bin:/bin");
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  std::vector<char*> envp;
  for (std::string& entry : environment) envp.push_back(entry.data());
  envp.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  if (errors >= 0) posix_spawn_file_actions_adddup2(&actions, errors, 2);
  posix_spawn_file_actions_adddup2(&actions, their_ready.get(), 3);
  posix_spawn_file_actions_addclosefrom_np(&actions, 4);
  const int error = ::posix_spawn(&pid_, ADYTON_SERVICE_PROGRAM, &actions, nullptr, argv.data(), envp.data());
  posix_spawn_file_actions_destroy(&actions);
  ASSERT_EQ(error, 0);
  their_ready.reset();
  char byte = 0;
  ASSERT_EQ(::read(ready.get(), &byte, 1), 1) << "adytond did not start";
  ASSERT_EQ(byte, service::kReadyByte);
}

int Service::wait() {
  int status = 0;
  if (::waitpid(pid_, &status, 0) != pid_) return 255;
  pid_ = -1;
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

int Service::stop(int signal) {
  ::kill(pid_, signal);
  return wait();
}

size_t Service::fds() const {
  const fs::directory_iterator entries("/proc/" + std::to_string(pid_) + "/fd");
  return static_cast<size_t>(std::distance(begin(entries), end(entries)));
}

size_t Service::threads() const {
  const fs::directory_iterator entries("/proc/" + std::to_string(pid_) + "/task");
  return static_cast<size_t>(std::distance(begin(entries), end(entries)));
}

uint64_t Service::resident() const {
  const std::string status = contents("/proc/" + std::to_string(pid_) + "/status");
  const size_t at = status.find("VmRSS:");
  return at == std::string::npos ? 0 : std::strtoull(status.c_str() + at + 6, nullptr, 10) * 1024;
}

std::vector<pid_t> Service::processes() const {
  std::vector<pid_t> found;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator("/proc", ignored)) {
    const std::string name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    if (contents("/proc/" + name + "/environ").find(folder_ + "/run") != std::string::npos)
      found.push_back(std::atoi(name.c_str()));
  }
  return found;
}

void Service::wait_until(const std::function<bool()>& condition) {
  while (!condition()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

// ---- clients -------------------------------------------------------------------------------------------------------------

Client::Client(const Service& service_process) {
  auto connected = rpc::Session::connect(rpc::UnixAddress{service_process.socket()}, {.outgoing_connections = 4,
                                                                                      .incoming_connections = 1,
                                                                                      .fd_passing = rpc::FdPassing::kUnix,
                                                                                      .max_body_size = service::kMaxRpcBody});
  EXPECT_TRUE(connected) << connected.error().message;
  if (!connected) std::abort();
  session = std::move(*connected);
  service = aidl::IVirtualizationService::from_binder(session->root().value());
}

rpc::Reply<> Callback::add(std::string event) {
  std::lock_guard lock(mutex_);
  events_.push_back(std::move(event));
  changed_.notify_all();
  return {};
}
rpc::Reply<> Callback::onPayloadStarted(int32_t) { return add("started"); }
rpc::Reply<> Callback::onPayloadReady(int32_t) { return add("ready"); }
rpc::Reply<> Callback::onPayloadFinished(int32_t, int32_t exit_code) { return add("finished " + std::to_string(exit_code)); }
rpc::Reply<> Callback::onError(int32_t, virtualizationcommon::ErrorCode code, const std::string& message) {
  return add("error " + to_string(code) + ": " + message);
}
rpc::Reply<> Callback::onDied(int32_t, virtualizationcommon::DeathReason reason, const std::string& message) {
  {
    std::lock_guard lock(mutex_);
    reason_ = reason;
  }
  return add("died " + to_string(reason) + ": " + message);
}
std::vector<std::string> Callback::events() {
  std::lock_guard lock(mutex_);
  return events_;
}
void Callback::wait_for(const std::string& event) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return std::find(events_.begin(), events_.end(), event) != events_.end(); });
}
virtualizationcommon::DeathReason Callback::wait_for_death() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return reason_.has_value(); });
  return *reason_;
}

rpc::Reply<> Listener::onVsockConnection(int32_t port, const UniqueFd& stream) {
  std::lock_guard lock(mutex_);
  streams_.emplace_back(port, UniqueFd(::fcntl(stream.get(), F_DUPFD_CLOEXEC, 3)));
  changed_.notify_all();
  return {};
}
UniqueFd Listener::wait_for(int32_t port) {
  std::unique_lock lock(mutex_);
  for (;;) {
    for (auto entry = streams_.begin(); entry != streams_.end(); ++entry) {
      if (entry->first != port) continue;
      UniqueFd stream = std::move(entry->second);
      streams_.erase(entry);
      return stream;
    }
    changed_.wait(lock);
  }
}

// ---- configurations ------------------------------------------------------------------------------------------------------

aidl::VirtualMachineRawConfig& machine_of(aidl::VirtualMachineConfig& config) {
  using Tag = aidl::VirtualMachineConfig::Tag;
  return config.tag() == Tag::appConfig ? config.get<Tag::appConfig>().machine : config.get<Tag::rawConfig>();
}

aidl::VirtualMachineConfig raw_config(const std::string& params, const std::string& name) {
  aidl::VirtualMachineRawConfig machine;
  machine.name = name;
  machine.kernel = raw_kernel();
  machine.params = params;
  machine.memoryBytes = 16 << 20;
  return aidl::VirtualMachineConfig::make<aidl::VirtualMachineConfig::Tag::rawConfig>(std::move(machine));
}

aidl::VirtualMachineConfig app_config(std::vector<std::string> argv, const std::string& name) {
  aidl::VirtualMachineAppConfig app;
  app.machine.name = name;
  app.machine.kernel = raw_kernel();
  app.machine.memoryBytes = 16 << 20;
  app.payload.program = argv.front();
  app.payload.argv = std::move(argv);
  return aidl::VirtualMachineConfig::make<aidl::VirtualMachineConfig::Tag::appConfig>(std::move(app));
}

std::string read_exactly(int fd, size_t size) {
  std::string text(size, '\0');
  size_t done = 0;
  for (ssize_t got; done < size && (got = ::read(fd, text.data() + done, size - done)) > 0;) done += static_cast<size_t>(got);
  text.resize(done);
  return text;
}

std::string read_all(int fd) {
  std::string all;
  char buffer[65536];
  for (ssize_t got; (got = ::read(fd, buffer, sizeof(buffer))) > 0;) all.append(buffer, static_cast<size_t>(got));
  return all;
}

std::string read_until(int fd, const std::string& text) {
  std::string all;
  char byte;
  while (all.find(text) == std::string::npos && ::read(fd, &byte, 1) == 1) all += byte;
  return all;
}

}  // namespace adyton::service_tests
