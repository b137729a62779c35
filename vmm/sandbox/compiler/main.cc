// adyton-policy-compiler OUTPUT FILE.policy...: turns policies into the BPF programs that the kernel wants, as C++ arrays. A tool
// of the build; the policy named `setup` gets the calls of all others too, as every thread inherits it.
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/filter.h>
#include <seccomp.h>
#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <span>
#include <sstream>

#include "base/unique_fd.h"
#include "vmm/sandbox/compiler/policy_file.h"

namespace adyton::vmm::sandbox {
namespace {

struct Policy {
  std::string name;
  std::vector<Rule> rules;
};

constexpr int kNamedCalls = 1024;  // more than any architecture has

Result<Policy> read_policy(const std::filesystem::path& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return Policy{path.stem().string(), TRY(parse_policy(path.filename().string(), text.str()))};
}

Result<void> add_rule(scmp_filter_ctx filter, const std::string& policy, const Rule& rule) {
  const int call = ::seccomp_syscall_resolve_name(rule.call.c_str());
  if (call == __NR_SCMP_ERROR || call < 0) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{}.policy: '{}' is no system call of this architecture", policy, rule.call));
  }
  std::vector<scmp_arg_cmp> conditions;
  for (const Condition& c : rule.conditions) {
    conditions.push_back({.arg = c.argument, .op = SCMP_CMP_MASKED_EQ, .datum_a = c.mask, .datum_b = c.value});
  }
  const uint32_t action = rule.error ? SCMP_ACT_ERRNO(static_cast<uint32_t>(*rule.error)) : SCMP_ACT_ALLOW;
  const int result = ::seccomp_rule_add_array(filter, action, call, static_cast<unsigned>(conditions.size()), conditions.data());
  if (result != 0) return fail_errno(fmt::format("{}.policy: {}", policy, rule.call), -result);
  return {};
}

Result<std::vector<sock_filter>> compile(const Policy& policy) {
  // What is not listed: SIGSYS, whose handler reports it. What does not even come through this architecture's calls: death.
  const std::unique_ptr<void, void (*)(scmp_filter_ctx)> filter(::seccomp_init(SCMP_ACT_TRAP), ::seccomp_release);
  if (!filter) return fail(ErrorCode::kExhausted, "cannot make a filter");
  ::seccomp_attr_set(filter.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
  ::seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2);  // a binary tree
  for (const Rule& rule : policy.rules) TRY(add_rule(filter.get(), policy.name, rule));
  const UniqueFd file(::memfd_create("filter", MFD_CLOEXEC));
  if (!file.valid()) return fail_errno("memfd_create");
  if (const int result = ::seccomp_export_bpf(filter.get(), file.get()); result != 0)
    return fail_errno("seccomp_export_bpf", -result);
  const off_t size = ::lseek(file.get(), 0, SEEK_END);
  std::vector<sock_filter> program(static_cast<size_t>(size) / sizeof(sock_filter));
  if (::pread(file.get(), program.data(), static_cast<size_t>(size), 0) != size) return fail_errno("read the filter");
  return program;
}

Result<void> run(const std::string& output, std::span<char*> inputs) {
  std::vector<Policy> policies;
  for (const char* input : inputs) policies.push_back(TRY(read_policy(input)));
  for (Policy& policy : policies) {
    if (policy.name != "setup") continue;
    for (const Policy& other : policies) {
      if (&other != &policy) policy.rules.insert(policy.rules.end(), other.rules.begin(), other.rules.end());
    }
  }
  std::string text = "// Made by adyton-policy-compiler. Do not edit.\n";
  for (size_t i = 0; i < policies.size(); ++i) {
    text += fmt::format("constexpr sock_filter kProgram{}[] = {{  // {}\n", i, policies[i].name);
    const std::vector<sock_filter> program = TRY(compile(policies[i]));
    for (const sock_filter& line : program)
      text += fmt::format("    {{{:#x}, {}, {}, {:#x}}},\n", line.code, line.jt, line.jf, line.k);
    text += "};\n";
  }
  text += "constexpr Policy kPolicies[] = {\n";
  for (size_t i = 0; i < policies.size(); ++i) text += fmt::format("    {{\"{}\", kProgram{}}},\n", policies[i].name, i);
  text += "};\nconstexpr auto kSystemCallNames = std::to_array<const char*>({\n";
  for (int number = 0; number < kNamedCalls; ++number) {
    const std::unique_ptr<char, void (*)(void*)> name(::seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, number), std::free);
    text += name ? fmt::format("    \"{}\",\n", name.get()) : std::string("    nullptr,\n");
  }
  text += "});\n";
  if (!(std::ofstream(output) << text).flush()) return fail(ErrorCode::kInternal, "cannot write " + output);
  return {};
}

}  // namespace
}  // namespace adyton::vmm::sandbox

int main(int argc, char** argv) {
  if (argc < 3) {
    fmt::print(stderr, "usage: {} OUTPUT FILE.policy...\n", argv[0]);
    return 2;
  }
  const auto done = adyton::vmm::sandbox::run(argv[1], std::span(argv + 2, static_cast<size_t>(argc - 2)));
  if (done) return 0;
  fmt::print(stderr, "{}\n", done.error().message);
  return 1;
}
