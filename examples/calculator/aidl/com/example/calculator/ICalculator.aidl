package com.example.calculator;

import com.example.calculator.ICalculatorListener;

/** Served by the payload in the virtual machine. */
interface ICalculator {
    const int PORT = 5678;
    const int ERROR_OVERFLOW = 1;

    long add(long a, long b);
    long multiply(long a, long b);
    /** EX_ILLEGAL_ARGUMENT for b = 0. */
    long divide(long a, long b);
    long sum(in long[] values);

    void setListener(@nullable ICalculatorListener listener);
}
