#include <grpcpp/grpcpp.h>

#include "bench/rpc/system.h"
#include "calls.grpc.pb.h"

namespace adyton::bench {

namespace {

class Service final : public Calls::Service {
 public:
  grpc::Status Add(grpc::ServerContext*, const Operands* request, Sum* reply) override {
    reply->set_value(request->a() + request->b());
    return grpc::Status::OK;
  }
  grpc::Status Take(grpc::ServerContext*, const Blob* request, Sum* reply) override {
    reply->set_value(static_cast<int32_t>(request->data().size()));
    return grpc::Status::OK;
  }
  grpc::Status Give(grpc::ServerContext*, const Sum* request, Blob* reply) override {
    reply->mutable_data()->assign(static_cast<size_t>(request->value()), 'x');
    return grpc::Status::OK;
  }
};

class GrpcSystem final : public System {
 public:
  explicit GrpcSystem(const std::string& socket_path) {
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(kMaxMessage);
    arguments.SetMaxSendMessageSize(kMaxMessage);
    channel_ = grpc::CreateCustomChannel("unix:" + socket_path, grpc::InsecureChannelCredentials(), arguments);
    stub_ = Calls::NewStub(channel_);
  }

  int32_t add(int32_t a, int32_t b) override {
    grpc::ClientContext context;
    context.set_wait_for_ready(true);
    Operands request;
    request.set_a(a);
    request.set_b(b);
    Sum reply;
    check(stub_->Add(&context, request, &reply));
    return reply.value();
  }
  size_t take(const std::string& bytes) override {
    grpc::ClientContext context;
    Blob request;
    request.set_data(bytes);
    Sum reply;
    check(stub_->Take(&context, request, &reply));
    return static_cast<size_t>(reply.value());
  }
  size_t give(size_t size) override {
    grpc::ClientContext context;
    Sum request;
    request.set_value(static_cast<int32_t>(size));
    Blob reply;
    check(stub_->Give(&context, request, &reply));
    return reply.data().size();
  }

 private:
  static void check(const grpc::Status& status) {
    if (!status.ok()) give_up("gRPC: " + status.error_message());
  }

  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<Calls::Stub> stub_;
};

}  // namespace

void serve_grpc(const std::string& socket_path) {
  Service service;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("unix:" + socket_path, grpc::InsecureServerCredentials());
  builder.SetMaxReceiveMessageSize(kMaxMessage);
  builder.SetMaxSendMessageSize(kMaxMessage);
  builder.RegisterService(&service);
  const auto server = builder.BuildAndStart();
  if (!server) give_up("gRPC cannot listen");
  server->Wait();
}

std::unique_ptr<System> connect_grpc(const std::string& socket_path) { return std::make_unique<GrpcSystem>(socket_path); }

}  // namespace adyton::bench
