// What the fault tests share: a service of the test's own with the real VMM, clients as processes, moments at which something is
// done to them, and a census of what is left behind.
#pragma once
#include <sys/types.h>

#include <chrono>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "tests/service/service.h"

namespace adyton::faults {

// How often a fault is tried: few in the usual run, 100 times in the nightly one.
inline constexpr int kRounds = ADYTON_FAULT_ROUNDS;
inline constexpr bool kLong = kRounds >= 50;

// Seeded once for the program, from FAULT_SEED or by chance; the seed is printed.
std::mt19937& generator();
// 0 to `end` - 1.
uint32_t random_below(uint32_t end);

// A run of the client program (client.cc). Its lines are read with patience; one that says nothing for two minutes fails the
// test.
class Client {
 public:
  Client(const service_tests::Service& service, std::vector<std::string> words, std::vector<std::string> environment = {});
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }
  // Reads until a line begins with `word`; false at the end of what it says.
  bool wait_for(const std::string& word);
  // Whether a line so far began with `word`.
  [[nodiscard]] bool said(const std::string& word) const;
  void order(const std::string& word);
  void kill();
  // Reads to the end, waits for the process, and returns its status as waitpid() has it.
  int finish();
  [[nodiscard]] std::string transcript() const;

 private:
  bool read_line();

  pid_t pid_ = -1;
  UniqueFd in_;
  UniqueFd out_;
  std::string rest_;
  std::vector<std::string> lines_;
};

// Where in a VM's life something happens.
enum class Phase : uint8_t { kCreate, kBoot, kRun, kStop };
struct Moment {
  Phase phase = Phase::kCreate;
  std::chrono::microseconds delay{0};  // after the phase's begin
};
std::string to_string(const Moment& moment);

// What must not grow.
struct Census {
  size_t service_fds = 0;
  size_t service_threads = 0;
  size_t processes = 0;
  size_t sockets = 0;                   // of the whole system that are bound below the service's folder
  std::map<std::string, size_t> files;  // by folder: runtime, records, records being made, temporary, shared memory
  bool operator==(const Census&) const = default;
};
std::string to_string(const Census& census);

class Rig {
 public:
  // `folder` of the service as given, with records that must stay ("kept-0" ...).
  explicit Rig(std::vector<std::string> environment = {});
  // Starts the service; again after its end.
  void start(std::vector<std::string> options = {});

  service_tests::Service& service() { return service_; }
  std::unique_ptr<Client> client(std::vector<std::string> words, std::vector<std::string> environment = {}) const;
  // A client that runs a VM whose payload waits.
  std::unique_ptr<Client> run(std::vector<std::string> environment = {}) const;
  void make_records();

  // Times each phase of an undisturbed run, and takes the first census.
  void measure();
  [[nodiscard]] Moment draw() const;
  [[nodiscard]] Moment draw(Phase phase) const;
  // Brings the client, and its VM, to that moment.
  static void reach(Client& client, const Moment& moment);

  [[nodiscard]] std::vector<pid_t> vmms() const;
  // Waits until nothing is left of a round; then the kept records are whole and a VM starts. Notes the memory in use.
  void expect_nothing_left();
  // Prints the figures, and fails if the service's memory grows with the rounds.
  void report(const char* fault);
  void new_service() { resident_.clear(); }

 private:
  [[nodiscard]] Census census() const;
  enum class Records : uint8_t { kSame, kAny };
  void settle(const char* when, Records records);

  std::vector<std::string> environment_;
  service_tests::Service service_;
  std::map<Phase, std::chrono::microseconds> durations_;
  Census before_;
  bool measured_ = false;
  std::vector<uint64_t> resident_;
  int rounds_ = 0;
};

}  // namespace adyton::faults
