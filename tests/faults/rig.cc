#include "tests/faults/rig.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

namespace adyton::faults {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr auto kPatience = 120s;

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

size_t entries(const std::string& folder, const std::string& part = {}) {
  size_t count = 0;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    if (entry->path().filename().string().find(part) != std::string::npos) ++count;
  }
  return count;
}

std::chrono::microseconds since(Clock::time_point start) {
  return std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - start);
}

}  // namespace

std::mt19937& generator() {
  static std::mt19937 random = [] {
    const char* given = std::getenv("FAULT_SEED");
    const auto seed = given != nullptr ? static_cast<unsigned>(std::strtoul(given, nullptr, 10)) : std::random_device()();
    fmt::print("FAULT_SEED={}\n", seed);
    return std::mt19937(seed);
  }();
  return random;
}

uint32_t random_below(uint32_t end) { return end == 0 ? 0 : static_cast<uint32_t>(generator()() % end); }

// ---- the client ----------------------------------------------------------------------------------------------------------

Client::Client(const service_tests::Service& service, std::vector<std::string> words, std::vector<std::string> environment) {
  int in[2];
  int out[2];
  if (::pipe2(in, O_CLOEXEC) != 0 || ::pipe2(out, O_CLOEXEC) != 0) std::abort();
  UniqueFd their_in(in[0]);
  UniqueFd their_out(out[1]);
  in_.reset(in[1]);
  out_.reset(out[0]);
  words.insert(words.begin(), "adyton_fault_client");
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (!std::string_view(*entry).starts_with("XDG_CONFIG") && !std::string_view(*entry).starts_with("TMPDIR"))
      environment.emplace_back(*entry);
  }
  environment.push_back("ADYTON_RUNTIME_DIR=" + service.folder() + "/run");
  environment.push_back("XDG_CONFIG_HOME=" + service.folder() + "/config");
  environment.push_back("TMPDIR=" + service.folder() + "/tmp");
  std::vector<char*> argv;
  std::vector<char*> envp;
  for (std::string& word : words) argv.push_back(word.data());
  for (std::string& entry : environment) envp.push_back(entry.data());
  argv.push_back(nullptr);
  envp.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, their_in.get(), 0);
  posix_spawn_file_actions_adddup2(&actions, their_out.get(), 1);
  posix_spawn_file_actions_addclosefrom_np(&actions, 3);
  if (::posix_spawn(&pid_, ADYTON_FAULT_CLIENT, &actions, nullptr, argv.data(), envp.data()) != 0) std::abort();
  posix_spawn_file_actions_destroy(&actions);
}

Client::~Client() {
  if (pid_ < 0) return;
  kill();
  finish();
}

bool Client::read_line() {
  for (;;) {
    if (const size_t end = rest_.find('\n'); end != std::string::npos) {
      lines_.push_back(rest_.substr(0, end));
      rest_.erase(0, end + 1);
      return true;
    }
    pollfd ready{.fd = out_.get(), .events = POLLIN, .revents = 0};
    if (::poll(&ready, 1, std::chrono::milliseconds(kPatience).count()) == 0) {
      ADD_FAILURE() << "the client says nothing any more\n" << transcript();
      kill();
    }
    char buffer[4096];
    const ssize_t got = ::read(out_.get(), buffer, sizeof(buffer));
    if (got <= 0) return false;
    rest_.append(buffer, static_cast<size_t>(got));
  }
}

bool Client::wait_for(const std::string& word) {
  while (!said(word)) {
    if (!read_line()) return false;
  }
  return true;
}

bool Client::said(const std::string& word) const {
  return std::any_of(lines_.begin(), lines_.end(), [&](const std::string& line) { return line.starts_with(word); });
}

void Client::order(const std::string& word) {
  const std::string line = word + "\n";
  (void)!::write(in_.get(), line.data(), line.size());
}

void Client::kill() { ::kill(pid_, SIGKILL); }

int Client::finish() {
  while (read_line()) {}
  int status = 0;
  ::waitpid(pid_, &status, 0);
  pid_ = -1;
  return status;
}

std::string Client::transcript() const {
  std::string text;
  for (const std::string& line : lines_) text += "  " + line + "\n";
  return text;
}

// ---- moments and counts --------------------------------------------------------------------------------------------------

std::string to_string(const Moment& moment) {
  constexpr const char* kNames[] = {"create", "boot", "run", "stop"};
  return fmt::format("{} + {} us", kNames[static_cast<size_t>(moment.phase)], moment.delay.count());
}

std::string to_string(const Census& census) {
  std::string text = fmt::format("{} descriptors and {} threads of the service, {} processes, {} sockets", census.service_fds,
                                 census.service_threads, census.processes, census.sockets);
  for (const auto& [folder, count] : census.files) text += fmt::format(", {} {}", count, folder);
  return text;
}

// ---- the rig -------------------------------------------------------------------------------------------------------------

Rig::Rig(std::vector<std::string> environment) : environment_(std::move(environment)) {
  ::signal(SIGPIPE, SIG_IGN);
  generator();
  fs::create_directory(service_.folder() + "/tmp");
}

void Rig::start(std::vector<std::string> options) {
  options.push_back("--vmm=" + service_tests::real_vmm());
  options.emplace_back("--idle-exit=0");
  auto environment = environment_;
  environment.push_back("TMPDIR=" + service_.folder() + "/tmp");
  service_.start(std::move(options), std::move(environment));
}

std::unique_ptr<Client> Rig::client(std::vector<std::string> words, std::vector<std::string> environment) const {
  environment.insert(environment.end(), environment_.begin(), environment_.end());
  return std::make_unique<Client>(service_, std::move(words), std::move(environment));
}

std::unique_ptr<Client> Rig::run(std::vector<std::string> environment) const {
  return client({"run", "victim", ADYTON_FAULT_PAYLOAD, "wait"}, std::move(environment));
}

void Rig::make_records() {
  for (const char* name : {"kept-0", "kept-1", "kept-2"}) {
    const auto maker = client({"keep", name, ADYTON_FAULT_PAYLOAD});
    EXPECT_EQ(maker->finish(), 0) << maker->transcript();
  }
}

void Rig::measure() {
  make_records();
  for (int i = 0; i < 2; ++i) {  // what is made once is made by the first
    auto start = Clock::now();
    const auto lap = [&](Phase phase) {
      durations_[phase] = since(start);
      start = Clock::now();
    };
    const auto undisturbed = run();
    ASSERT_TRUE(undisturbed->wait_for("boot")) << undisturbed->transcript();
    lap(Phase::kCreate);
    ASSERT_TRUE(undisturbed->wait_for("run")) << undisturbed->transcript();
    lap(Phase::kBoot);
    undisturbed->order("stop");
    ASSERT_TRUE(undisturbed->wait_for("end")) << undisturbed->transcript();
    lap(Phase::kStop);
    ASSERT_EQ(undisturbed->finish(), 0);
    ASSERT_TRUE(undisturbed->said("stopped shutdown")) << undisturbed->transcript();
    durations_[Phase::kRun] = 100ms;
    const auto checker = client({"check", ADYTON_FAULT_KERNEL});
    ASSERT_EQ(checker->finish(), 0) << checker->transcript();
  }
  settle("at first", Records::kAny);
  before_ = census();
  measured_ = true;
  fmt::print("measured: create {} us, boot {} us, stop {} us; {}\n", durations_[Phase::kCreate].count(),
             durations_[Phase::kBoot].count(), durations_[Phase::kStop].count(), to_string(before_));
}

Moment Rig::draw() const { return draw(static_cast<Phase>(random_below(4))); }

Moment Rig::draw(Phase phase) const {
  const auto found = durations_.find(phase);
  const auto end = found == durations_.end() ? 50'000 : found->second.count();
  return {.phase = phase, .delay = std::chrono::microseconds(random_below(static_cast<uint32_t>(end)))};
}

void Rig::reach(Client& client, const Moment& moment) {
  if (moment.phase == Phase::kBoot) client.wait_for("boot");
  if (moment.phase >= Phase::kRun) client.wait_for("run");
  if (moment.phase == Phase::kStop) {
    client.order("stop");
    client.wait_for("stopping");
  }
  std::this_thread::sleep_for(moment.delay);  // the moment is what varies
}

std::vector<pid_t> Rig::vmms() const {
  std::vector<pid_t> found;
  for (const pid_t pid : service_.processes()) {
    if (contents(fmt::format("/proc/{}/comm", pid)) == "adyton-vmm\n") found.push_back(pid);
  }
  return found;
}

Census Rig::census() const {
  Census census;
  census.service_fds = service_.fds();
  census.service_threads = service_.threads();
  census.processes = service_.processes().size();
  std::istringstream sockets(contents("/proc/net/unix"));
  for (std::string line; std::getline(sockets, line);) {
    if (line.find(service_.folder() + "/") != std::string::npos) ++census.sockets;
  }
  const std::string data = service_.folder() + "/data/adyton";
  census.files["runtime files"] = entries(service_.folder() + "/run");
  census.files["records"] = entries(data + "/vm");
  census.files["unfinished records"] = entries(data + "/vm.tmp");
  census.files["temporary files"] = entries(service_.folder() + "/tmp");
  census.files["shared memory files"] = entries("/dev/shm", "adyton");
  return census;
}

// Threads and descriptors of sessions that have ended go soon after.
void Rig::settle(const char* when, Records records) {
  const auto deadline = Clock::now() + 30s;
  Census last = census();
  for (;;) {
    Census expected = before_;
    // A record of a client that was killed is deleted by the next one.
    if (records == Records::kAny) expected.files["records"] = last.files["records"];
    const bool quiet = measured_ ? last == expected : last.processes == 1 && last.service_threads <= 4;
    if (quiet) return;
    if (Clock::now() > deadline) {
      ADD_FAILURE() << "left behind " << when << ":\n  " << to_string(last) << "\nbefore:\n  " << to_string(before_);
      return;
    }
    std::this_thread::sleep_for(2ms);
    last = census();
  }
}

void Rig::expect_nothing_left() {
  settle("by the fault", Records::kAny);
  const auto checker = client({"check", ADYTON_FAULT_KERNEL});
  EXPECT_EQ(checker->finish(), 0) << checker->transcript();
  for (const char* name : {"kept-0", "kept-1", "kept-2"})
    EXPECT_TRUE(checker->said(std::string("whole ") + name)) << checker->transcript();
  settle("after the next VM", Records::kSame);
  resident_.push_back(service_.resident());
  ++rounds_;
}

void Rig::report(const char* fault) {
  // The first rounds find the allocator's size; a leak grows on.
  const size_t from = resident_.size() / 4;
  double slope = 0;
  if (resident_.size() - from >= 2) {
    const double count = static_cast<double>(resident_.size() - from);
    double x = 0, y = 0, xx = 0, xy = 0;
    for (size_t i = from; i < resident_.size(); ++i) {
      const auto at = static_cast<double>(i);
      const auto bytes = static_cast<double>(resident_[i]);
      x += at;
      y += bytes;
      xx += at * at;
      xy += at * bytes;
    }
    slope = (count * xy - x * y) / (count * xx - x * x);
  }
  fmt::print("{}: {} rounds; after them {}; resident {} KiB at first, {} KiB at last, {:.0f} bytes a round\n", fault, rounds_,
             to_string(census()), resident_.empty() ? 0 : resident_.front() / 1024,
             resident_.empty() ? 0 : resident_.back() / 1024, slope);
  if (kLong) { EXPECT_LT(slope, 4096) << "the service's memory grows"; }
}

}  // namespace adyton::faults
