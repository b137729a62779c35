package com.example.calculator;

/** Implemented by the host: told of every result. */
interface ICalculatorListener {
    void onResult(String operation, long result);
}
