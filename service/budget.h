// What a user's VMs may have together, and what is promised to them already.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <utility>

#include "base/result.h"

namespace adyton::service {

// Of all VMs of the user together, and of those that one client has created. Memory is in bytes.
struct Limits {
  uint32_t vms = 64;
  uint32_t vms_per_client = 32;
  uint32_t cpus = 256;
  uint32_t cpus_per_client = 128;
  uint64_t memory = 0;
  uint64_t memory_per_client = UINT64_MAX;
};

struct Demand {
  uint32_t cpus = 0;
  uint64_t memory = 0;  // bytes
};

struct Usage {
  uint32_t vms = 0;
  uint32_t cpus = 0;
  uint64_t memory = 0;
};

// Threading: any.
class Budget : public std::enable_shared_from_this<Budget> {
 public:
  // A VM's share; it goes back when the object does.
  class Share {
   public:
    Share() = default;
    Share(Share&& other) noexcept : budget_(std::move(other.budget_)), client_(other.client_), demand_(other.demand_) {}
    Share& operator=(Share&& other) noexcept {
      reset();
      budget_ = std::move(other.budget_);
      client_ = other.client_;
      demand_ = other.demand_;
      return *this;
    }
    ~Share() { reset(); }
    void reset();

   private:
    friend class Budget;
    Share(std::shared_ptr<Budget> budget, uint64_t client, Demand demand)
        : budget_(std::move(budget)), client_(client), demand_(demand) {}
    std::shared_ptr<Budget> budget_;
    uint64_t client_ = 0;
    Demand demand_;
  };

  static std::shared_ptr<Budget> make(Limits limits) { return std::shared_ptr<Budget>(new Budget(limits)); }

  // kExhausted names the limit, and where it is set. `client` stands for one connected program.
  Result<Share> take(uint64_t client, const Demand& demand);

  [[nodiscard]] const Limits& limits() const { return limits_; }
  [[nodiscard]] Usage usage() const;

 private:
  explicit Budget(Limits limits) : limits_(limits) {}
  void give_back(uint64_t client, const Demand& demand);

  const Limits limits_;
  mutable std::mutex mutex_;
  Usage usage_;                        // guarded by mutex_
  std::map<uint64_t, Usage> clients_;  // of those that have VMs; guarded by mutex_
};

}  // namespace adyton::service
