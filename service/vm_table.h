// The user's live VMs, and what each may have.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "service/budget.h"
#include "service/cid_allocator.h"
#include "service/event_loop.h"
#include "service/failure.h"
#include "service/record_store.h"
#include "service/vm.h"
#include "service/vm_types.h"

namespace adyton::service {

// Threading: the event loop's.
class VmTable {
 public:
  VmTable(EventLoop& loop, std::string vmm_program, std::string cid_file, std::shared_ptr<Budget> budget,
          std::shared_ptr<RecordStore> records);
  ~VmTable();  // every VM has ended: see kill_all()
  VmTable(const VmTable&) = delete;
  VmTable& operator=(const VmTable&) = delete;

  // Checks the specification, takes what it needs from the limits, and, of a persistent one, its record. kExists: the name is a
  // live VM's.
  Outcome<std::shared_ptr<Vm>> create(VmSpec spec);

  // Where VMs that name no place get the socket of their vsock ports; without it they have none.
  void set_vsock_directory(std::string directory) { vsock_directory_ = std::move(directory); }

  // Null if there is none.
  [[nodiscard]] std::shared_ptr<Vm> find(const std::string& name) const;
  [[nodiscard]] std::vector<std::shared_ptr<Vm>> list() const;  // by cid
  [[nodiscard]] bool empty() const { return vms_.empty(); }

  // Pulls every plug; `done` is called when all VMs are gone. Nothing can be created any more.
  void kill_all(std::function<void()> done);

  // Is told whenever the last VM has gone.
  void on_empty(std::function<void()> function) { on_empty_ = std::move(function); }

 private:
  void gone(uint32_t cid);

  EventLoop& loop_;
  const std::string vmm_program_;
  std::string vsock_directory_;
  CidAllocator cids_;
  const std::shared_ptr<Budget> budget_;
  const std::shared_ptr<RecordStore> records_;
  std::map<uint32_t, std::shared_ptr<Vm>> vms_;
  std::function<void()> on_empty_;
  std::vector<std::function<void()>> end_waiters_;
  bool ending_ = false;
};

}  // namespace adyton::service
