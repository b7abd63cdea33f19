#!/bin/bash
# A command line of RFdiffusion: structdiff import examples/problems/rfdiffusion_site_v.sh --out site_v.yaml
../scripts/run_inference.py inference.output_prefix=outputs/site_v inference.input_pdb=../5tpn_site_v.pdb \
    'contigmap.contigs=[10-40/A163-181/10-40]' contigmap.length=55-65 inference.num_designs=4 \
    'contigmap.inpaint_seq=[A163-168/A170-171/A179]'
