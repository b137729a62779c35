#include "guest/init/tree_operation.h"

#include <unistd.h>

#include <string>

#include "guest/tree/copy.h"

namespace adyton::guest {
namespace {

void say(const std::string& message) {
  const std::string line = "adyton: in the guest: " + message + "\n";
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
}

Result<void> run(const ExecRequest& request) {
  if (request.operation == Operation::kSendTree) {
    return tree::send_tree(request.argv[0], request.argv[1] == "follow", STDOUT_FILENO, say);
  }
  // Who copies into the guest owns it: every permission bit is taken.
  return tree::receive_tree(
      STDIN_FILENO,
      {.path = request.argv[0], .name = request.argv[1], .contents_only = request.argv[2] == "contents", .mode_mask = 07777});
}

}  // namespace

void run_tree_operation(const ExecRequest& request) {
  const auto done = run(request);
  if (!done) say(done.error().message);
  ::_exit(done ? 0 : kExitError);
}

}  // namespace adyton::guest
