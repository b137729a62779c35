// The payload: a calculator behind a typed interface, served to the host over vsock.
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <memory>
#include <mutex>
#include <span>
#include <string>

#include "adyton/payload.h"
#include "com/example/calculator/ICalculator.h"
#include "com/example/calculator/ICalculatorListener.h"

namespace {

using adyton::rpc::Exception;
using adyton::rpc::Reply;
using adyton::rpc::Status;
using com::example::calculator::ICalculatorListener;
using com::example::calculator::ICalculatorStub;

class Calculator : public ICalculatorStub {
 public:
  Reply<int64_t> add(int64_t a, int64_t b) override {
    int64_t result = 0;
    return __builtin_add_overflow(a, b, &result) ? overflow() : tell("add", result);
  }
  Reply<int64_t> multiply(int64_t a, int64_t b) override {
    int64_t result = 0;
    return __builtin_mul_overflow(a, b, &result) ? overflow() : tell("multiply", result);
  }
  Reply<int64_t> divide(int64_t a, int64_t b) override {
    if (b == 0) return adyton::rpc::fail(Exception::kIllegalArgument, "division by zero");
    if (a == INT64_MIN && b == -1) return overflow();
    return tell("divide", a / b);
  }
  Reply<int64_t> sum(std::span<const int64_t> values) override {
    int64_t result = 0;
    for (const int64_t value : values) {
      if (__builtin_add_overflow(result, value, &result)) return overflow();
    }
    return tell("sum", result);
  }
  Reply<> setListener(const std::shared_ptr<ICalculatorListener>& listener) override {
    const std::lock_guard guard(mutex_);
    listener_ = listener;
    return {};
  }

 private:
  static Reply<int64_t> overflow() { return std::unexpected(Status::from_service_specific(ERROR_OVERFLOW, "the result does not fit 64 bits")); }

  // The listener is called back on the connection that this call came in on, and may itself call us.
  Reply<int64_t> tell(const std::string& operation, int64_t result) {
    std::shared_ptr<ICalculatorListener> listener;
    {
      const std::lock_guard guard(mutex_);
      listener = listener_;
    }
    if (listener) {
      if (const auto told = listener->onResult(operation, result); !told) return std::unexpected(told.error());
    }
    return result;
  }

  std::mutex mutex_;
  std::shared_ptr<ICalculatorListener> listener_;
};

}  // namespace

int main() {
  const auto served = adyton::payload::serve_vsock(std::make_shared<Calculator>(), Calculator::PORT, [] {
    if (const auto told = adyton::payload::notify_ready(); !told) std::fprintf(stderr, "calculator: %s\n", told.error().message.c_str());
  });
  std::fprintf(stderr, "calculator: %s\n", served.error().message.c_str());
  return 1;
}
