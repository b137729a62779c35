#include "rpc/status.h"

#include <gmock/gmock.h>

namespace adyton::rpc {
namespace {

TEST(Status, IsOkUnlessSaidOtherwise) {
  EXPECT_TRUE(Status().is_ok());
  EXPECT_EQ(Status::ok(), Status());
  EXPECT_EQ(Status::from_transport(TransportError::kOk, "ignored"), Status());
  EXPECT_EQ(Status::from_exception(Exception::kNone, "ignored"), Status());
  EXPECT_EQ(Status().to_string(), "ok");
}

TEST(Status, KeepsWhatItWasMadeOf) {
  const Status transport = Status::from_transport(TransportError::kDeadObject);
  EXPECT_FALSE(transport.is_ok());
  EXPECT_EQ(transport.exception(), Exception::kTransactionFailed);
  EXPECT_EQ(transport.transport_error(), TransportError::kDeadObject);
  EXPECT_EQ(transport.to_string(), "kTransactionFailed(kDeadObject)");

  const Status exception = Status::from_exception(Exception::kIllegalState, "not started");
  EXPECT_EQ(exception.exception(), Exception::kIllegalState);
  EXPECT_EQ(exception.transport_error(), TransportError::kOk);
  EXPECT_EQ(exception.to_string(), "kIllegalState: not started");

  const Status service = Status::from_service_specific(8, "disk full");
  EXPECT_EQ(service.service_specific_code(), 8);
  EXPECT_EQ(service.to_string(), "kServiceSpecific(8): disk full");
}

TEST(Status, NamesNumbersItDoesNotKnow) {
  EXPECT_EQ(Status::from_exception(Exception{7}, ":D").to_string(), "exception 7: :D");
  EXPECT_EQ(Status::from_transport(TransportError{-7}).to_string(), "kTransactionFailed(-7)");
}

// An exception that says "the call failed" without a reason still is a failure.
TEST(Status, TransactionFailedHasAReason) {
  EXPECT_EQ(Status::from_exception(Exception::kTransactionFailed).transport_error(), TransportError::kUnknownError);
}

TEST(Status, ErrorsComeBackAsTheyWere) {
  for (uint8_t code = 0; code <= static_cast<uint8_t>(ErrorCode::kInternal); ++code) {
    const Error error = Status::from_error({ErrorCode{code}, "why"});
    EXPECT_EQ(error.code, ErrorCode{code});
    EXPECT_EQ(error.message, "why");
  }
}

TEST(Status, BecomesAnErrorForAPerson) {
  const Error dead = Status::from_transport(TransportError::kDeadObject);
  EXPECT_EQ(dead.code, ErrorCode::kUnavailable);
  EXPECT_EQ(dead.message, "kTransactionFailed(kDeadObject)");
  EXPECT_EQ(static_cast<Error>(Status::from_service_specific(1000)).code, ErrorCode::kInternal);
}

TEST(Status, TryCarriesItOut) {
  const auto failing = []() -> Result<int> {
    const Reply<int> reply = fail(Exception::kIllegalArgument, "no");
    return TRY(reply) + 1;
  };
  const auto result = failing();
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(result.error().message, "no");
}

}  // namespace
}  // namespace adyton::rpc
